package swarm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

const (
	processes = 200
	rounds    = 2
)

// leaseTime is for all of them: about 10 ms of one processor for each call, and ten
// times that where the machine is busy.
var leaseTime = slow() * 60 * time.Second

// register knows who has which address, from after ADD until before DEL.
type register struct {
	sync.Mutex
	holder map[string]string
	most   int // addresses at the same time
	errs   []string
}

func (r *register) complain(format string, args ...any) {
	r.Lock()
	defer r.Unlock()
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

func (r *register) take(address, who string) {
	r.Lock()
	defer r.Unlock()
	if other, taken := r.holder[address]; taken {
		r.errs = append(r.errs, fmt.Sprintf("%s has %s and %s gets it", other, address, who))
	}
	r.holder[address] = who
	r.most = max(r.most, len(r.holder))
}

func (r *register) give(address string) {
	r.Lock()
	defer r.Unlock()
	delete(r.holder, address)
}

// testLeases lets 200 processes lease and release addresses of one network, in which
// 253 are free. A quarter of the calls are the reference's, which shares the directory,
// also for one half of an attachment's life. At one moment all hold an address; after
// it, some come while others go.
func testLeases(t *testing.T, ours, reference string) {
	host := space(t, "leases")
	data := t.TempDir()
	dir := filepath.Join(data, "swarm")
	config := encode(object{"cniVersion": "1.0.0", "name": "swarm", "ipam": hostLocal(data, "10.70.0.0/24")})
	r := &register{holder: make(map[string]string)}
	var full sync.WaitGroup
	full.Add(processes)
	begin := time.Now()
	all(processes, func(i int) {
		toAdd, toDel := mixed(i, ours, reference)
		call := lab.Call{Plugin: "host-local", Netns: "/none", IfName: "eth0", Config: config, Timeout: leaseTime}
		for round := range rounds {
			call.ContainerID = fmt.Sprintf("c%d-%d", i, round)
			address := r.add(host, toAdd, call)
			if round == 0 {
				full.Done()
				full.Wait()
			}
			r.del(host, toDel, call, address)
		}
	})
	took := time.Since(begin)
	for _, text := range r.errs {
		t.Error(text)
	}
	if r.most != processes {
		t.Errorf("%d leases at most at the same time, want %d", r.most, processes)
	}
	if took > leaseTime {
		t.Errorf("took %v, want below %v", took, leaseTime)
	}
	for _, name := range leaseFiles(t, dir) {
		t.Errorf("%s is left", name)
	}
	fmt.Printf("swarm: %d ADDs and DELs of host-local by %d processes at once: %v\n", processes*rounds, processes, took.Round(time.Millisecond))
}

// mixed says whose programs the process runs: in each eight, one both of the
// reference's, and two one of them.
func mixed(i int, ours, reference string) (toAdd, toDel string) {
	toAdd, toDel = ours, ours
	if i%8 == 0 || i%8 == 2 {
		toAdd = reference
	}
	if i%8 == 0 || i%8 == 4 {
		toDel = reference
	}
	return toAdd, toDel
}

// add returns the address, "" if it failed.
func (r *register) add(host *lab.Space, bin string, call lab.Call) string {
	call.Command = "ADD"
	answer, err := host.CNI(bin, call)
	if err != nil || answer.Result == nil || len(answer.Result.IPs) != 1 {
		r.complain("ADD of %s: %v %s%s", call.ContainerID, err, answer.Stdout, answer.Stderr)
		return ""
	}
	address := answer.Result.IPs[0].Address.IP.String()
	r.take(address, call.ContainerID)
	return address
}

func (r *register) del(host *lab.Space, bin string, call lab.Call, address string) {
	r.give(address) // before DEL: from its end on somebody else may have it
	call.Command = "DEL"
	if answer, err := host.CNI(bin, call); err != nil || answer.Exit != 0 {
		r.complain("DEL of %s: %v %s%s", call.ContainerID, err, answer.Stdout, answer.Stderr)
	}
}

// leaseFiles are the names in a network's directory that are no bookkeeping.
func leaseFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" && !strings.HasPrefix(e.Name(), "last_reserved_ip.") {
			names = append(names, e.Name())
		}
	}
	return names
}
