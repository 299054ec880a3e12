package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// pki is where the control plane has its keys; nodes get the kubeconfig alone.
const (
	pki        = "/etc/kubernetes/"
	kubeconfig = pki + "kubeconfig"
	token      = "e2e" // of the one user, an administrator
)

// writePKI makes a certificate authority, the API server's certificate and the key of
// service accounts on the control plane, and returns the administrator's kubeconfig.
func writePKI(cp *kit.Node) (string, error) {
	caKey, caText, err := key()
	if err != nil {
		return "", err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caCert, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return "", err
	}
	serverKey, serverText, err := key()
	if err != nil {
		return "", err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(cpAddr), net.ParseIP(firstService), net.ParseIP("127.0.0.1")},
		DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	}
	serverCert, err := x509.CreateCertificate(rand.Reader, server, ca, serverKey.Public(), caKey)
	if err != nil {
		return "", err
	}
	saKey, saText, err := key()
	if err != nil {
		return "", err
	}
	public, err := x509.MarshalPKIXPublicKey(saKey.Public())
	if err != nil {
		return "", err
	}
	caPEM := block("CERTIFICATE", caCert)
	for name, text := range map[string]string{
		"ca.crt": caPEM, "ca.key": caText, "api.crt": block("CERTIFICATE", serverCert), "api.key": serverText,
		"sa.key": saText, "sa.pub": block("PUBLIC KEY", public), "tokens.csv": token + ",admin,admin,system:masters\n",
	} {
		if err := cp.Write(pki+name, text); err != nil {
			return "", err
		}
	}
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s:6443", certificate-authority-data: %s}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, cpAddr, base64.StdEncoding.EncodeToString([]byte(caPEM)), token)
	return config, cp.Write(kubeconfig, config)
}

func key() (crypto.Signer, string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	raw, err := x509.MarshalECPrivateKey(k)
	return k, block("EC PRIVATE KEY", raw), err
}

func block(kind string, raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
}
