package swarm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	processes = 200
	rounds    = 2
)

// leaseTime is for all of them: about 10 ms of one processor for each call, and ten
// times that where the machine is busy.
var leaseTime = stage.Slow() * 60 * time.Second

// register knows who has which address, from after ADD until before DEL.
type register struct {
	sync.Mutex
	dir    string // for the calls' files
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
	data, dir := t.TempDir(), t.TempDir()
	config := stage.Encode(stage.Conf{"cniVersion": "1.0.0", "name": "swarm", "ipam": stage.HostLocal(data, "10.70.0.0/24")})
	r := &register{dir: dir, holder: make(map[string]string)}
	var full sync.WaitGroup
	full.Add(processes)
	begin := time.Now()
	all(processes, func(i int) {
		toAdd, toDel := mixed(i, ours, reference)
		for round := range rounds {
			c := call{id: fmt.Sprintf("c%d-%d", i, round), config: config}
			address := r.add(toAdd, c)
			if round == 0 {
				full.Done()
				full.Wait()
			}
			r.del(toDel, c, address)
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
	for _, name := range leaseFiles(t, filepath.Join(data, "swarm")) {
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
func (r *register) add(bin string, c call) string {
	c.command = "ADD"
	stdout, err := c.run(bin, r.dir)
	var result struct {
		IPs []struct {
			Address string `json:"address"`
		} `json:"ips"`
	}
	if err == nil {
		err = json.Unmarshal(stdout, &result)
	}
	if err != nil || len(result.IPs) != 1 {
		r.complain("ADD of %s: %v %s", c.id, err, stdout)
		return ""
	}
	r.take(result.IPs[0].Address, c.id)
	return result.IPs[0].Address
}

func (r *register) del(bin string, c call, address string) {
	r.give(address) // before DEL: from its end on somebody else may have it
	c.command = "DEL"
	if stdout, err := c.run(bin, r.dir); err != nil {
		r.complain("DEL of %s: %v %s", c.id, err, stdout)
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
