package main

import "github.com/bridgeport-cni/bridgeport/test/e2e/kit"

// web is a Deployment spread over the nodes, and its Service.
const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]
      containers: [{name: server, image: "` + kit.PodImage + `", imagePullPolicy: Never, readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: ` + webService + `
  selector: {app: web}
  ports: [{name: tcp, port: 80, protocol: TCP}, {name: udp, port: 80, protocol: UDP}]
`

const webService = "10.96.0.80"

// edge is a DaemonSet with a host port.
const edge = `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: edge}
spec:
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: server
        image: "` + kit.PodImage + `"
        imagePullPolicy: Never
        ports: [{containerPort: 80, hostPort: 8080, protocol: TCP}, {containerPort: 80, hostPort: 8080, protocol: UDP}]
`

// rivals are three pods that want one port of two nodes.
const rivals = `apiVersion: apps/v1
kind: Deployment
metadata: {name: rival}
spec:
  replicas: 3
  selector: {matchLabels: {app: rival}}
  template:
    metadata: {labels: {app: rival}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: server, image: "` + kit.PodImage + `", imagePullPolicy: Never, ports: [{containerPort: 80, hostPort: 8090}]}]
`

// fleet is a Deployment of 50, renewed by a change of RELEASE.
const fleet = `apiVersion: apps/v1
kind: Deployment
metadata: {name: fleet}
spec:
  replicas: 50
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  selector: {matchLabels: {app: fleet}}
  template:
    metadata: {labels: {app: fleet}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: server, image: "` + kit.PodImage + `", imagePullPolicy: Never, env: [{name: RELEASE, value: "RELEASE"}]}]
`
