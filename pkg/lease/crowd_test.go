package lease

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// crowdVar makes the test program one of the crowd: it holds dataDir and a number.
const crowdVar = "LEASE_TEST_CROWD"

func TestMain(m *testing.M) {
	if text := os.Getenv(crowdVar); text != "" {
		dataDir, number, _ := strings.Cut(text, " ")
		if err := member(dataDir, number); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	stage.MainIfRoot(m.Run) // for the mount of onCoarse
}

// member adds three attachments, prints their addresses and gives one back.
func member(dataDir, number string) error {
	p := &pool{data: dataDir, ranges: dual}
	for i := range 3 {
		got, err := p.add(fmt.Sprintf("c%s-%d", number, i))
		if err != nil {
			return err
		}
		fmt.Println(got)
	}
	return Del(p.request("c"+number+"-0", ""))
}

// TestCrowd: processes at the same time get different addresses, and the index
// knows them all.
func TestCrowd(t *testing.T) {
	const size = 50
	p := newPool(t, dual)
	outputs := make([]string, size)
	var wg sync.WaitGroup
	for i := range size {
		wg.Go(func() {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", crowdVar, p.data, i))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			outputs[i] = string(out)
		})
	}
	wg.Wait()
	// Round robin gives no address twice as long as the range has fresh ones.
	seen := make(map[string]int)
	for i, out := range outputs {
		for _, a := range strings.Fields(out) {
			if j, dup := seen[a]; dup {
				t.Errorf("processes %d and %d both got %s", i, j, a)
			}
			seen[a] = i
		}
	}
	if len(seen) != 2*3*size {
		t.Errorf("got %d addresses, want %d", len(seen), 2*3*size)
	}
	for i := range size {
		for j := range 3 {
			held, err := Held(p.request(fmt.Sprintf("c%d-%d", i, j), ""))
			if want := map[bool]int{true: 0, false: 2}[j == 0]; err != nil || len(held) != want {
				t.Errorf("c%d-%d holds %v, %v, want %d addresses", i, j, held, err, want)
			}
		}
	}
}
