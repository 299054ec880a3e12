package swarm

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	fewLeases, manyLeases = 10, 20000
	// tolerance is how much more system calls a call may take with many leases, in
	// percent.
	tolerance = 20
	// runs: the least of several counts has the least of the scheduler's noise in it.
	runs = 5
)

// noise are the calls by which Go's runtime waits and moves goroutines between
// threads; how often depends on what else the machine does.
var noise = []string{"futex", "nanosleep", "epoll_", "sched_", "tgkill", "rt_sigreturn", "restart_syscall"}

// testCost counts system calls: they must not grow with the number of leases.
func testCost(t *testing.T, bin string) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is missing: run `make packages`")
	}
	counts := make(map[int]map[string]int)
	for _, n := range []int{fewLeases, manyLeases} {
		p := pool{t: t, strace: strace, bin: bin, data: t.TempDir(), dir: t.TempDir()}
		p.fill(n)
		counts[n] = p.measure()
	}
	for _, verb := range []string{"ADD", "CHECK", "DEL"} {
		few, many := counts[fewLeases][verb], counts[manyLeases][verb]
		fmt.Printf("swarm: host-local %s: %d system calls with %d leases, %d with %d\n", verb, few, fewLeases, many, manyLeases)
		if many*100 > few*(100+tolerance) {
			t.Errorf("%s: %d system calls with %d leases, but %d with %d", verb, few, fewLeases, many, manyLeases)
		}
	}
}

// pool is a network whose leases were made by something else.
type pool struct {
	t                      *testing.T
	strace, bin, data, dir string
}

func (p pool) config(more stage.Conf) []byte {
	c := stage.Conf{"cniVersion": "1.0.0", "name": "pool", "ipam": stage.HostLocal(p.data, "10.80.0.0/16")}
	return stage.Encode(c.With(more))
}

// fill writes leases as the reference would, and lets one call make the index.
func (p pool) fill(n int) {
	p.t.Helper()
	dir := filepath.Join(p.data, "pool")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	addr := netip.MustParseAddr("10.80.0.1")
	for i := range n {
		addr = addr.Next()
		text := fmt.Sprintf("container%d\r\neth0", i)
		if err := os.WriteFile(filepath.Join(dir, addr.String()), []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	last := filepath.Join(dir, "last_reserved_ip.0")
	if err := os.WriteFile(last, []byte(addr.String()), 0o600); err != nil {
		p.t.Fatal(err)
	}
	for _, verb := range []string{"ADD", "DEL"} {
		p.call(verb, "warm", nil)
	}
}

// measure counts the calls of each verb.
func (p pool) measure() map[string]int {
	p.t.Helper()
	least := make(map[string]int)
	for i := range runs {
		id := fmt.Sprintf("measured%d", i)
		n, result := p.run("ADD", id, nil)
		keep(least, "ADD", n)
		n, _ = p.run("CHECK", id, stage.Conf{"prevResult": decode(p.t, result)})
		keep(least, "CHECK", n)
		n, _ = p.run("DEL", id, nil)
		keep(least, "DEL", n)
	}
	return least
}

func keep(least map[string]int, verb string, n int) {
	if old, ok := least[verb]; !ok || n < old {
		least[verb] = n
	}
}

// run is one call under strace.
func (p pool) run(verb, id string, more stage.Conf) (calls int, stdout []byte) {
	p.t.Helper()
	log := filepath.Join(p.dir, "strace")
	stdout = p.call(verb, id, more, p.strace, "-f", "-c", "-o", log)
	summary, err := os.ReadFile(log)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.count(string(summary)), stdout
}

func (p pool) call(verb, id string, more stage.Conf, wrap ...string) []byte {
	p.t.Helper()
	stdout, err := call{command: verb, id: id, config: p.config(more), wrap: wrap}.run(p.bin, p.dir)
	if err != nil {
		p.t.Fatalf("%s: %v: %s", verb, err, stdout)
	}
	return stdout
}

// count adds up the table of `strace -c`, whose lines are
// "  0.00    0.000000           0        12         3 openat", the errors only where
// there were some.
func (p pool) count(summary string) (total int) {
	p.t.Helper()
	for line := range strings.Lines(summary) {
		fields := strings.Fields(line)
		if len(fields) < 5 || len(fields) > 6 {
			continue
		}
		n, err := strconv.Atoi(fields[3])
		name := fields[len(fields)-1]
		if err != nil || name == "total" || isNoise(name) {
			continue
		}
		total += n
	}
	if total == 0 {
		p.t.Fatalf("no system calls in:\n%s", summary)
	}
	return total
}

func isNoise(name string) bool {
	for _, n := range noise {
		if strings.Contains(name, n) {
			return true
		}
	}
	return false
}
