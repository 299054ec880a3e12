package stage

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m.Run) }

// pair wires two spaces: a has .1, b has .2, in both families.
func pair(t *testing.T) (a, b *Space) {
	t.Helper()
	a, b = OpenSpace(t, "a"), OpenSpace(t, "b")
	must(t, Wire(a, "eth0", "192.0.2.1/24,2001:db8::1/64", b, "eth0", "192.0.2.2/24,2001:db8::2/64"))
	return a, b
}

func TestPing(t *testing.T) {
	a, b := pair(t)
	for _, dst := range []string{"192.0.2.2", "2001:db8::2", "127.0.0.1", "::1"} {
		if rtt, err := a.Ping(dst, 2*time.Second); err != nil || rtt <= 0 {
			t.Errorf("ping %s = %v, %v", dst, rtt, err)
		}
	}
	if _, err := b.Ping("192.0.2.1", 2*time.Second); err != nil {
		t.Error(err)
	}
	if _, err := a.Ping("192.0.2.9", 300*time.Millisecond); err == nil {
		t.Error("ping of an address that nobody has was answered")
	}
	if _, err := a.Ping("198.51.100.1", 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("ping without a route = %v, want unreachable", err)
	}
	lines, err := a.Neighbors("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(lines, "\n"), "192.0.2.2 lladdr ") {
		t.Errorf("neighbours lack 192.0.2.2: %q", lines)
	}
}

func TestServe(t *testing.T) {
	a, b := pair(t)
	networks := []string{"tcp", "udp"}
	if HasSCTP() {
		networks = append(networks, "sctp")
	} else {
		t.Log("the kernel lacks SCTP")
	}
	for _, network := range networks {
		for server, want := range map[string]string{"192.0.2.2": "192.0.2.1:4000", "[2001:db8::2]": "[2001:db8::1]:4000"} {
			t.Run(network+" "+server, func(t *testing.T) {
				any := "0.0.0.0:80"
				if strings.HasPrefix(server, "[") {
					any = "[::]:80"
				}
				v, err := b.Serve(network, any)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // the second time needs SO_REUSEADDR
					got, err := a.AskFrom(network, want, server+":80", 2*time.Second)
					if err != nil || got != want {
						t.Errorf("seen as %q, %v, want %q", got, err, want)
					}
				}
				if err := v.Close(); err != nil {
					t.Error(err)
				}
				if got, err := a.Ask(network, server+":80", time.Second); err == nil {
					t.Errorf("a closed server answered %q", got)
				}
			})
		}
	}
}

func TestRoute(t *testing.T) {
	a, b := pair(t)
	if err := Wire(b, "far", "198.51.100.1/24,2001:db8:1::1/64", b, "end", ""); err != nil {
		t.Fatal(err)
	}
	for dst, via := range map[string]string{"default": "192.0.2.2", "default6": "2001:db8::2"} {
		if err := a.Route(dst, via); err != nil {
			t.Error(err)
		}
	}
	for _, dst := range []string{"198.51.100.1", "2001:db8:1::1"} {
		if _, err := a.Ping(dst, 2*time.Second); err != nil {
			t.Error(err)
		}
	}
}

func TestSysctl(t *testing.T) {
	a, b := pair(t)
	const key = "net/ipv4/ip_forward"
	if err := a.SetSysctl(key, "1"); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[*Space]string{a: "1", b: "0"} {
		if got, err := s.Sysctl(key); err != nil || got != want {
			t.Errorf("%s in %s = %q, %v, want %q", key, s.Name, got, err, want)
		}
	}
}

func TestCloseTwice(t *testing.T) {
	s, err := NewSpace("twice")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(s.Path); !os.IsNotExist(err) {
		t.Errorf("%s is left", s.Path)
	}
}

// fakePlugin answers ADD with its environment's view of the namespace it is in.
const fakePlugin = `#!/bin/sh
config=$(cat)
if [ "$CNI_COMMAND" != ADD ]; then
	echo '{"cniVersion": "1.1.0", "code": 7, "msg": "no '$CNI_COMMAND'"}'
	exit 1
fi
echo "$(readlink /proc/self/ns/net)" >&2
echo '{"cniVersion": "1.1.0", "interfaces": [{"name": "'$CNI_IFNAME'"}]}'
`

func TestCNI(t *testing.T) {
	a, _ := pair(t)
	bin := t.TempDir()
	if err := os.WriteFile(bin+"/fake", []byte(fakePlugin), 0o755); err != nil {
		t.Fatal(err)
	}
	call := Call{Plugin: "fake", Command: "ADD", ContainerID: "c", Netns: "/none", IfName: "eth0", Config: []byte("{}")}
	answer, err := a.CNI(bin, call)
	if err != nil || answer.Exit != 0 || answer.Result == nil || answer.Result.Interfaces[0].Name != "eth0" {
		t.Errorf("ADD = %+v, %v", answer, err)
	}
	if got, want := strings.TrimSpace(string(answer.Stderr)), fmt.Sprintf("net:[%d]", a.Ino()); got != want {
		t.Errorf("the plugin ran in %s, want %s", got, want)
	}
	call.Command = "DEL"
	answer, err = a.CNI(bin, call)
	if err != nil || answer.Exit != 1 || answer.Err == nil || answer.Err.Code != 7 || answer.Err.Msg != "no DEL" {
		t.Errorf("DEL = %+v, %v", answer, err)
	}
	if _, err := a.CNI(bin, Call{Plugin: "absent", Command: "ADD"}); err == nil {
		t.Error("an absent plugin ran")
	}
}
