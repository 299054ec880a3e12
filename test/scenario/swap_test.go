package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// lender is a host-local: ours or the reference's, over the same directory.
type lender struct {
	*Stage
	bin string
}

func (l lender) call(command, id string, subnets ...string) Answer {
	GinkgoHelper()
	a, err := l.Host.CNI(l.bin, Call{
		Plugin: "host-local", Command: command, ContainerID: id, Netns: "/nowhere", IfName: "eth0",
		Config: Conf{"type": "bridge", "ipam": l.IPAM(subnets...)}.Stdin(),
	})
	Expect(err).NotTo(HaveOccurred())
	return a
}

// add lends and returns the first address.
func (l lender) add(id string, subnets ...string) string {
	GinkgoHelper()
	a := l.call("ADD", id, subnets...)
	ExpectOK("ADD", a)
	return a.Result.IPs[0].Address.IP.String()
}

func (l lender) del(id string, subnets ...string) {
	GinkgoHelper()
	ExpectOK("DEL", l.call("DEL", id, subnets...))
}

var _ = Describe("host-local shares a lease directory with the reference's:", func() {
	var ours, theirs lender
	BeforeEach(func() {
		s := newStage()
		ours, theirs = lender{s, s.Bin}, lender{s, Reference(GinkgoT(), "host-local")}
	})

	// files is the lease directory without what has no say: name → mode and content.
	files := func() map[string]string {
		GinkgoHelper()
		dir := filepath.Join(ours.Data(), NetworkName)
		entries, err := os.ReadDir(dir)
		Expect(err).NotTo(HaveOccurred())
		found := make(map[string]string)
		for _, e := range entries {
			info, err := e.Info()
			Expect(err).NotTo(HaveOccurred())
			found[e.Name()] = fmt.Sprintf("%v %q", info.Mode(), Read(GinkgoT(), filepath.Join(dir, e.Name())))
		}
		return found
	}

	It("DEL of one frees what ADD of the other lent", func() {
		for _, pair := range [][2]lender{{ours, theirs}, {theirs, ours}} {
			addr := pair[0].add("c1", SubnetV4, SubnetV6)
			Expect(ours.Lease(addr)).To(BeAnExistingFile())
			pair[1].del("c1", SubnetV4, SubnetV6)
			Expect(ours.Lease(addr)).NotTo(BeAnExistingFile())
			for name := range files() {
				Expect(name).To(Or(Equal("lock"), HavePrefix("last_reserved_ip.")))
			}
		}
	})

	It("CHECK of one passes for what ADD of the other lent", func() {
		for _, pair := range [][2]lender{{ours, theirs}, {theirs, ours}} {
			a := pair[0].call("ADD", "c1", SubnetV4)
			ExpectOK("ADD", a)
			check, err := ours.Host.CNI(pair[1].bin, Call{
				Plugin: "host-local", Command: "CHECK", ContainerID: "c1", Netns: "/nowhere", IfName: "eth0",
				Config: Conf{"type": "bridge", "ipam": ours.IPAM(SubnetV4), "prevResult": a.Result}.Stdin(),
			})
			Expect(err).NotTo(HaveOccurred())
			ExpectOK("CHECK", check)
			pair[1].del("c1", SubnetV4)
		}
	})

	It("alternating ADDs go on where the other left off and never lend twice", func() {
		const pool = "10.60.0.0/28" // 13 addresses and the gateway
		seen := make(map[string]string)
		for i := range 13 {
			id := fmt.Sprintf("c%d", i)
			addr := []lender{ours, theirs}[i%2].add(id, pool)
			Expect(addr).To(Equal(fmt.Sprintf("10.60.0.%d", i+2)))
			Expect(seen).NotTo(HaveKey(addr))
			seen[addr] = id
		}
		ExpectError(ours.call("ADD", "late", pool), 102, "10.60.0.1-10.60.0.14")
		Expect(theirs.call("ADD", "late", pool).Exit).NotTo(BeZero())
		theirs.del("c3", pool)
		Expect(ours.add("late", pool)).To(Equal("10.60.0.5"))
	})

	It("both write the same files", func() {
		ours.add("c1", SubnetV4, SubnetV6)
		mine := files()
		ours.del("c1", SubnetV4, SubnetV6)
		Expect(os.RemoveAll(ours.Data())).To(Succeed())
		theirs.add("c1", SubnetV4, SubnetV6)
		Expect(mine).To(Equal(files()))
	})

	// plant writes a lease file as another program, or a crash, may have left it.
	plant := func(content string) {
		GinkgoHelper()
		dir := filepath.Join(ours.Data(), NetworkName)
		Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "lock"), nil, 0o750)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, FirstV4), []byte(content), 0o600)).To(Succeed())
	}

	It("ours frees a lease in the reference's older form, which lacks the interface", func() {
		plant("c1")
		ours.del("c1", SubnetV4)
		Expect(ours.Lease(FirstV4)).NotTo(BeAnExistingFile())
	})

	It("ours takes an empty file, left by a crash of the reference's, away by GC", func() {
		plant("")
		gc, err := ours.Host.CNI(ours.bin, Call{
			Plugin: "host-local", Command: "GC",
			Config: Conf{"type": "bridge", "ipam": ours.IPAM(SubnetV4), "cni.dev/valid-attachments": []any{}}.Stdin(),
		})
		Expect(err).NotTo(HaveOccurred())
		ExpectOK("GC", gc)
		Expect(ours.Lease(FirstV4)).NotTo(BeAnExistingFile())
	})
})
