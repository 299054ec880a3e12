package lease

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"golang.org/x/sys/unix"
)

func TestAddDel(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
	p.wantDel("c1") // before there is anything
	p.wantAdd("c1", "10.1.0.2")
	p.wantAdd("c2", "10.1.0.3")
	p.wantAdd("c1/eth1", "10.1.0.4")
	p.wantLeases("10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c1/eth1")
	p.wantDel("c1")
	p.wantDel("c1") // again
	p.wantLeases("10.1.0.3=c2/eth0 10.1.0.4=c1/eth1")
	p.wantAdd("c3", "10.1.0.5") // an address rests before it is used again
	p.wantAdd("c1", "10.1.0.6")
	for _, c := range []string{"c1", "c2", "c3", "c1/eth1"} {
		p.wantDel(c)
	}
	p.wantLeases("")
}

// TestFiles: what the reference reads, byte for byte, and who may read it.
func TestFiles(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))
	p := newPool(t, dual)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	p.wantAdd("c2", "10.1.0.3 fd00::3")
	p.wantDel("c2")
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`drwxr-xr-x .
drwx------ .bridgeport
drwx------ .bridgeport/net
Lrwxrwxrwx .bridgeport/net/ec43057c07aaa51f882664a6 -> %s,10.1.0.2,fd00::2
drwx------ .bridgeport/net/freed
-rw------- .bridgeport/net/freed/10.1.0.3 "c2\r\neth0"
-rw------- .bridgeport/net/freed/fd00::3 "c2\r\neth0"
drwxr-xr-x net
-rw------- net/10.1.0.2 "c1\r\neth0"
-rw------- net/fd00::2 "c1\r\neth0"
-rw------- net/last_reserved_ip.0 "10.1.0.3"
-rw------- net/last_reserved_ip.1 "fd00::3"
-rwxr-x--- net/lock ""
`, boot[:8])
	if got := p.tree(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestAddLongest: ADD makes no lease that DEL can't read whole.
func TestAddLongest(t *testing.T) {
	p := newPool(t, small)
	longest := strings.Repeat("c", maxLease-len("\r\neth0"))
	p.wantAdd(longest, "10.1.0.2")
	p.foreign(func() error { return os.RemoveAll(index2(p).dir) })
	p.wantDel(longest)
	_, err := p.add(longest + "cc")
	wantError(t, err, cni.CodeEnv, "CNI_CONTAINERID: 4092 characters: make it 2 shorter")
	p.wantLeases("")
}

func TestAddDuplicate(t *testing.T) {
	p := newPool(t, dual)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	_, err := p.add("c1")
	wantError(t, err, cni.CodeConflict, "10.1.0.2 has been allocated to c1, duplicate allocation is not allowed: DEL the attachment first")
	p.wantLeases("10.1.0.2=c1/eth0 fd00::2=c1/eth0")
}

// TestAddResult: what the caller gets beside the addresses.
func TestAddResult(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}], [{"subnet": "fd00::/64"}]`)
	res, err := Add(p.request("c1", ""))
	if err != nil {
		t.Fatal(err)
	}
	text, err := cni.Encode(res, "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"cniVersion":"1.1.0","ips":[{"address":"10.1.0.1/24","gateway":"10.1.0.254"},{"address":"fd00::2/64","gateway":"fd00::1"}]}`
	if got := strings.Join(strings.Fields(string(text)), ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAddExhausted(t *testing.T) {
	const full = "no IP addresses available in range set: 10.1.0.1-10.1.0.3 of 10.1.0.0/24: all 2 are leased: delete unused containers, or give the network a larger range; `bridgeport gc` removes leases of containers that are gone"
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.wantAdd("c2", "10.1.0.3")
	_, err := p.add("c3")
	wantError(t, err, cni.CodeExhausted, full)
	p.wantDel("c1")
	p.wantAdd("c3", "10.1.0.2")
	_, err = p.add("c4")
	wantError(t, err, cni.CodeExhausted, full)
}

// TestAddAllOrNothing: the second set is full, so the first gives nothing either.
func TestAddAllOrNothing(t *testing.T) {
	p := newPool(t, `[{"subnet": "fd00::/64"}], `+small)
	p.wantAdd("c1", "fd00::2 10.1.0.2")
	p.wantAdd("c2", "fd00::3 10.1.0.3")
	if _, err := p.add("c3"); cni.Code(err) != cni.CodeExhausted {
		t.Errorf("got %v", err)
	}
	p.wantLeases("10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0")
}

func TestAddRequested(t *testing.T) {
	tests := []struct {
		name, ips, want string
		code            uint
		err             string
	}{
		{"free", `"10.1.0.9"`, "10.1.0.9 fd00::3", 0, ""},
		{"both, in any order", `"fd00::9", "10.1.0.9"`, "10.1.0.9 fd00::9", 0, ""},
		{"one twice", `"10.1.0.9", "fd00::9", "10.1.0.9/24"`, "10.1.0.9 fd00::9", 0, ""},
		{"taken", `"10.1.0.2"`, "", cni.CodeConflict, "requested IP address 10.1.0.2 is not available in range set 10.1.0.1-10.1.0.20 of 10.1.0.0/24: container c0 link eth0 has it"},
		{"one taken, then neither is leased", `"10.1.0.9", "fd00::2"`, "", cni.CodeConflict, "requested IP address fd00::2 is not available in range set fd00::1-fd00::ffff:ffff:ffff:ffff of fd00::/64: container c0 link eth0 has it"},
		{"gateway", `"10.1.0.1"`, "", cni.CodeConfig, "requested ip 10.1.0.1 is subnet's gateway"},
		{"in the subnet, outside the range", `"10.1.0.99"`, "", cni.CodeConfig, "failed to allocate all requested IPs: 10.1.0.99: no range set is left that has them"},
		{"elsewhere", `"10.2.0.9"`, "", cni.CodeConfig, "failed to allocate all requested IPs: 10.2.0.9: no range set is left that has them"},
		{"two of one set", `"10.1.0.8", "10.1.0.9"`, "", cni.CodeConfig, "failed to allocate all requested IPs: 10.1.0.9: no range set is left that has them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, `[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.20"}], [{"subnet": "fd00::/64"}]`)
			p.wantAdd("c0", "10.1.0.2 fd00::2")
			got, err := p.addWith("c1", `, "runtimeConfig": {"ips": [`+tt.ips+`]}`)
			wantError(t, err, tt.code, tt.err)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			p.wantDel("c1")
			p.wantLeases("10.1.0.2=c0/eth0 fd00::2=c0/eth0")
		})
	}
}

// TestAddRequestedSecond: of a subnet's two sets, the one with the address gives it.
func TestAddRequestedSecond(t *testing.T) {
	for ips, want := range map[string]string{`"10.1.0.9"`: "10.1.0.2 10.1.0.9", `"10.1.0.10", "10.1.0.3"`: "10.1.0.3 10.1.0.10"} {
		p := newPool(t, small+`, [{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.8"}]`)
		if got, err := p.addWith("c1", `, "args": {"cni": {"ips": [`+ips+`]}}`); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", ips, got, err, want)
		}
	}
}

// TestAddMany: after some misses the directory is listed, with the same outcome.
func TestAddMany(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
	last := filepath.Join(p.dir, lastName+"0")
	for i := range 3 * probes / 2 {
		p.wantAdd(fmt.Sprint("c", i), fmt.Sprintf("10.1.0.%d", i+2))
		if err := os.Remove(last); err != nil { // each search begins at the first
			t.Fatal(err)
		}
	}
	p.wantDel("c70")
	p.rested()
	p.wantAdd("x", "10.1.0.72")
}

// TestRest: a released address is the last choice for some time.
func TestRest(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.4"}]`)
	p.wantAdd("c1", "10.1.0.2")
	p.wantDel("c1")
	p.wantAdd("c2", "10.1.0.3")
	p.wantAdd("c3", "10.1.0.4")
	p.wantDel("c2")
	// Both that are left were released just now; then the turn decides.
	p.wantAdd("c4", "10.1.0.2")
	p.wantDel("c3")
	p.wantAdd("c5", "10.1.0.3")
	p.wantDel("c4")
	p.rested()
	p.foreign(p.write(lastName+"0", "10.1.0.4"))
	p.wantDel("c5") // rests, unlike what c3 and c4 had
	p.wantAdd("c6", "10.1.0.2")
	p.wantAdd("c7", "10.1.0.4")
	p.wantAdd("c8", "10.1.0.3")
	if _, err := p.add("c9"); cni.Code(err) != cni.CodeExhausted {
		t.Errorf("got %v, want the pool to be full", err)
	}
}

// TestRestRequested: whoever asks for an address gets it at once, and so does a
// container that had it before the boot.
func TestRestRequested(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
	p.wantAdd("c1", "10.1.0.2")
	p.wantDel("c1")
	if got, err := p.addWith("c2", `, "runtimeConfig": {"ips": ["10.1.0.2"]}`); err != nil || got != "10.1.0.2" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestLast: what can't be read begins anew.
func TestLast(t *testing.T) {
	for text, want := range map[string]string{"10.1.0.7": "10.1.0.8", "10.1.0.7\n": "10.1.0.8", "10.1.": "10.1.0.2", "": "10.1.0.2", "10.9.0.1": "10.1.0.2", "fd00::7": "10.1.0.2"} {
		p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
		p.foreign(p.write(lastName+"0", text))
		p.wantAdd("c1", want)
	}
}

// TestOpenErrors: CodeIO, and the path in the text.
func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPool(t, small)
	p.data = file
	for verb, err := range map[string]error{
		"ADD": func() error { _, err := p.add("c1"); return err }(),
		"DEL": Del(p.request("c1", "")),
	} {
		if cni.Code(err) != cni.CodeIO || !strings.Contains(fmt.Sprint(err), file) {
			t.Errorf("%s: got %v, want code %d and %s", verb, err, cni.CodeIO, file)
		}
	}
}

// TestAddTidy: the file that a lease was written in is gone.
func TestAddTidy(t *testing.T) {
	p := newPool(t, dual)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	if files, err := filepath.Glob(filepath.Join(p.data, indexName, "net", ".lease*")); err != nil || len(files) > 0 {
		t.Errorf("left: %v %v", files, err)
	}
}
