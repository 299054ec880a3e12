# make help says what there is.
SHELL    := /bin/bash
PREFIX   ?= /opt/cni
BINDIR   ?= $(PREFIX)/bin
OUT      ?= bin
PLUGINS  := portmap host-local loopback
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0)
COMMIT   ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
MODULE   := github.com/bridgeport-cni/bridgeport
LDFLAGS  := -s -w -X $(MODULE)/pkg/cni.Version=$(VERSION) -X $(MODULE)/pkg/cni.Commit=$(COMMIT)
GO       ?= go
# PLAIN=1 builds the plugins as Go's own tools would: without the entry and without GOEXPERIMENT.
ifdef PLAIN
GOEXPERIMENT :=
else
# A plugin ends before it collects garbage, and spans laid out for Go 1.26's collector touch
# more pages: without it a process starts 6 % faster. Go releases that don't know it ignore it.
GOEXPERIMENT ?= $(shell GOEXPERIMENT=nogreenteagc $(GO) env GOEXPERIMENT 2>/dev/null)
# plugins/start has the entry, where there is one for the processor. An external linker would
# drop -E and say nothing: with -linkmode internal Go says that it needs one.
ENTRY    := $(if $(wildcard plugins/start/entry_linux_$(shell $(GO) env GOARCH).s),-linkmode internal -E bridgeport_entry)
endif
GOBUILD  := CGO_ENABLED=0 GOEXPERIMENT=$(GOEXPERIMENT) $(GO) build -trimpath -buildvcs=false
TOOL     := $(GO) tool -modfile=.tools/go.mod
REFBUILD := CGO_ENABLED=0 $(GO) build -modfile=.tools/go.mod -trimpath -buildvcs=false -ldflags '-s -w'
# The nftables library does not compile for 32 bits (math.MaxUint32 as an int).
ARCHES   ?= amd64 arm64 ppc64le s390x riscv64
# Folders with Go code; those that are gone or not there yet are left out.
GODIRS   := pkg plugins test
# program:package
PROGRAMS := strace:strace nft:nftables iptables:iptables ping:iputils-ping dnsmasq:dnsmasq-base
release-check: PROGRAMS += qemu-aarch64-static:qemu-user-static
bench: PROGRAMS += gcc:gcc ld:binutils iperf3:iperf3
REF      := github.com/containernetworking/plugins/plugins

# All targets are names, not files.
.PHONY: $(shell sed -nE 's/^([a-z0-9-]+):.*/\1/p' $(MAKEFILE_LIST))

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: plugins ## static binaries in bin/: the plugins, bridgeport, installer; PLAIN=1: without plugins/start's entry
	$(GOBUILD) -ldflags '$(LDFLAGS) $(ENTRY)' -o bin/bridgeport ./plugins/bridgeport
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o bin/installer ./plugins/installer

plugins: ## the plugins alone in $(OUT)/: bridge, portmap, host-local, loopback (one file)
	$(GOBUILD) -ldflags '$(LDFLAGS) $(ENTRY)' -o $(OUT)/bridge ./plugins
	@cd $(OUT) && for name in $(PLUGINS); do ln -f bridge $$name; done

install: build ## into $(DESTDIR)$(BINDIR), as bridgeport install does it: what was there is kept
	bin/bridgeport install --from bin --bin-dir $(DESTDIR)$(BINDIR)

docs: ## man pages of bridgeport and of the plugins, and shell completions, in bin/share/
	rm -rf bin/share
	$(GO) run ./plugins/bridgeport/gen bin/share

reference: ## the reference plugins and cnitool that tests compare with, in bin/reference/
	@mkdir -p bin/reference
	$(REFBUILD) -o bin/reference/ $(REF)/main/bridge $(REF)/main/loopback $(REF)/meta/portmap $(REF)/ipam/host-local $(REF)/ipam/static $(REF)/ipam/dhcp github.com/containernetworking/cni/cnitool

fmt: ## format the Go code, as make lint wants it
	$(TOOL) gofumpt -w $(GODIRS)

lint: ## gofumpt, go vet, staticcheck, borders between packages and their sizes, and whether make mutation knows every line
	@out=$$($(TOOL) gofumpt -l $(GODIRS)); if [ -n "$$out" ]; then echo "not formatted: run make fmt:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@set -o pipefail; $(GO) test -count=1 -v ./test/borders | grep -v '^=== RUN'
	MUTATE='^$$' $(GO) run ./test/mutation

# Not a tool of .tools/go.mod: its modules would change those that the reference is linked with.
vulncheck: ## known vulnerabilities in what the programs call, in our modules and in Go (asks vuln.go.dev, or VULNDB=file:///DIR)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 $(if $(VULNDB),-db $(VULNDB)) ./plugins ./plugins/bridgeport ./plugins/installer

unit: ## tests of the packages alone; without root those that make namespaces are skipped and say so
	$(GO) test -count=1 ./pkg/... ./plugins/...

packages: ## Debian packages that the tests need
	@missing=; for program in $(PROGRAMS); do command -v $${program%%:*} >/dev/null || missing="$$missing $${program##*:}"; done; \
	test -z "$$missing" || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; }
	test/packets/firewalld.sh

# The rooms take turns: some of them measure time, and they want the machine alone.
test: packages build reference lint ## everything CI runs (as root)
	$(GO) test -count=1 -p 1 -timeout 20m $$($(GO) list ./... | grep -v /test/packets$$)
	cd test/packets && $(GO) test -count=1 # in its folder: then it prints how many cells it asked

test-plain: packages reference ## all of test/scenario with plugins built without plugins/start's entry (as root)
	$(MAKE) plugins PLAIN=1 OUT=bin/plain
	BRIDGEPORT_BIN=$(CURDIR)/bin/plain $(GO) test -count=1 ./test/scenario

reference-table: build reference ## the table of test/packets, asked of the reference plugins (about 3 minutes)
	PACKETS_REFERENCE=1 $(GO) test -count=1 -timeout 20m ./test/packets -ginkgo.focus='and the reference'

attack: build reference ## what an attacker would try, row by row of the threat table in test/attack/README.md (as root)
	@$(GO) test -c -o bin/attack.test ./test/attack
	@cd test/attack && ../../bin/attack.test -test.timeout 10m -ginkgo.succinct

# Names of kernels are in test/vm/kernels.txt.
KERNEL ?= 6.1

vm-test: packages build reference ## the same on a stock Debian kernel, in a virtual machine: KERNEL=5.10, 6.1 (default), 6.12 or newest (about 25 minutes)
	test/vm/setup.sh $(KERNEL)
	KERNEL='$(KERNEL)' test/vm/suite.sh

vm-smoke: packages build reference ## a part of it for KERNEL=6.1: each eighth spec of what depends on the kernel
	test/vm/setup.sh $(KERNEL)
	SMOKE=1 KERNEL='$(KERNEL)' test/vm/suite.sh

vm-matrix: ## vm-smoke on all kernels; the last line counts them
	$(MAKE) vm-smoke KERNEL=all

# Real programs, each test in namespaces of its own (as root). What they need is fetched
# and built once, into .cache/e2e.
e2e-programs: packages notices
	@mkdir -p bin/e2e
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/e2e/ ./test/e2e/...

e2e-containerd: e2e-programs ## pods through containerd, Debian's and the newest; CONTAINERD=debian for one
	test/e2e/fetch.sh $(if $(filter debian,$(CONTAINERD)),,containerd) debian-containerd crictl
	bin/e2e/containerd $(CONTAINERD)

e2e-kubernetes: e2e-programs reference ## two nodes with kubelet, kube-proxy and our DaemonSet (the first build takes long)
	test/e2e/fetch.sh containerd debian-containerd crictl etcd kubernetes
	bin/e2e/kubernetes

e2e-podman: e2e-programs ## containers through Debian's podman and its CNI backend
	test/e2e/fetch.sh podman
	bin/e2e/podman

crash: packages build ## kill each verb at each point, fail each call, cut the power (as root; a quarter of an hour on two CPUs)
	$(GO) test -c -o bin/crash.test ./test/crash
	cd test/crash && CRASH=all ../../bin/crash.test -test.parallel 12 -test.timeout 3h $(if $(RUN),-test.run '$(RUN)')

schedules: packages build ## two verbs at a time, stopped and killed at each call, in each order of their calls (as root; an hour); RUN= for some pairs
	$(GO) test -c -o bin/schedules.test ./test/schedules
	cd test/schedules && SCHEDULES=$${SCHEDULES:-all} ../../bin/schedules.test -test.parallel 8 -test.timeout 6h $(if $(RUN),-test.run '$(RUN)')

machine: packages build ## each verb on a machine at fault: disk, limits, /proc, profiles (as root; 10 minutes)
	cd test/machine && MACHINE=all $(GO) test -count=1 -timeout 1h

soak: packages build ## load with enemies for MINUTES=10 (as root); SOAK_SEED= repeats a run
	$(GO) test -c -o bin/soak.test ./test/soak
	cd test/soak && SOAK_SECONDS=$$(($${MINUTES:-10} * 60)) SOAK_WORKERS=$${WORKERS:-100} ../../bin/soak.test -test.timeout 3h

fuzz: ## let each fuzz target look for new inputs for FUZZTIME=30s
	test/fuzz.sh

mutation: packages build ## remove each rename, lock, guard and rollback in turn: a test must fail (as root; half an hour on two CPUs)
	$(GO) run ./test/mutation

proof: ## crash, schedules, mutation, fuzz, soak, vm-matrix, e2e, those that have not passed yet, and test/proof/report.md (as root); PART=crash,fuzz: these again; FRESH=1: all
	@mkdir -p bin
	$(GO) build -trimpath -o bin/proof.run ./test/proof
	@bin/proof.run

e2e-flannel: e2e-programs ## two nodes with flanneld and containerd: flannel delegates to our bridge
	test/e2e/fetch.sh containerd debian-containerd crictl etcd flannel
	bin/e2e/flannel

e2e-ocicni: e2e-programs ## pods through CRI-O's CNI library
	test/e2e/fetch.sh ocicni
	bin/e2e/ocicni

e2e-gocni: e2e-programs ## containers of containerd through nerdctl's CNI library, in an OCI hook as nerdctl's
	test/e2e/fetch.sh containerd debian-containerd gocni
	bin/e2e/gocni

e2e-buildkit: e2e-programs ## builds by buildkitd, with our list and with its own (the first build takes long)
	test/e2e/fetch.sh runc buildkit
	bin/e2e/buildkit

e2e-kind: e2e-programs reference installer-image ## a cluster of kind's with Docker, by conf/kind (the first build takes long)
	test/e2e/fetch.sh containerd debian-containerd crictl kubernetes kubeadm kind kind-base docker coredns etcd-module
	bin/e2e/kind

e2e: e2e-containerd e2e-podman e2e-ocicni e2e-gocni e2e-buildkit e2e-flannel e2e-kubernetes e2e-kind ## all of them

e2e-table: ## write what they called into the table of conf/README.md
	$(GO) run ./test/e2e/table

notices: build ## bin/THIRD-PARTY, the licences of the modules that the programs are linked with
	$(GO) run ./test/supply/notices bin/bridge bin/bridgeport bin/installer > bin/THIRD-PARTY

installer-image: notices ## bin/installer-image.tar, what the DaemonSet of conf/kubernetes runs, for `docker load` or `ctr images import`
	CGO_ENABLED=0 $(GO) run ./test/e2e/image bin/installer-image.tar

release: ## archives, Debian and RPM packages for all architectures in bin/release/, with checksums; MINISIGN_KEY=FILE signs
	ARCHES="$(ARCHES)" GOEXPERIMENT=$(GOEXPERIMENT) .tools/release/build.sh $(VERSION) $(COMMIT) bin/release

release-check: packages reference ## this architecture's release, built by two users in two places to equal bytes, lists of modules compared, unpacked, installed beside others' packages and run; others start (as root)
	ARCHES="$(ARCHES)" GOEXPERIMENT=$(GOEXPERIMENT) .tools/release/check.sh $(VERSION) $(COMMIT)

demo: build ## the main job, shown step by step (as root)
	@$(GO) build -trimpath -o bin/demo ./test/demo
	@bin/demo

bench: packages build reference ## measure ours, the reference and a floor in C (as root, 15 minutes; BENCH=quick: 90 seconds; STRICT=1 fails where a target is not met)
	@echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libc6-dev; }
	gcc -O2 -static -Wall -Wextra -o bin/floor test/bench/floor/floor.c
	@$(GO) build -trimpath -o bin/bench ./test/bench
	@$(GOBUILD) -ldflags '-s -w' -o bin/empty ./test/bench/empty
	@set -o pipefail; bin/bench -json bin/bench.json | tee bin/bench.txt

bench-plot: ## draw the last run of make bench into test/bench/speed.svg
	bin/bench -plot bin/bench.json > bin/speed.svg && mv bin/speed.svg test/bench/speed.svg

clean: ## remove what make made
	rm -rf bin
