package ipam

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// script installs a plugin that is a shell script. It logs its commands to the
// file beside it.
func script(t *testing.T, dir, name, body string) (log string) {
	t.Helper()
	log = filepath.Join(dir, name+".log")
	text := "#!/bin/sh\ncat >/dev/null\necho $CNI_COMMAND >>" + log + "\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestNewErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a-directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, kind string
		path       []string
		want       string
	}{
		{"missing", "dhcp", []string{dir, "/nowhere"}, `ipam.type: plugin "dhcp" is not in CNI_PATH "` + dir + `:/nowhere": install it there`},
		{"no path", "dhcp", nil, `ipam.type: plugin "dhcp" is not in CNI_PATH "": install it there`},
		{"a directory", "a-directory", []string{dir}, `ipam.type: plugin "a-directory" is not in CNI_PATH "` + dir + `": install it there`},
		{"a path", "../bin/dhcp", []string{dir}, `ipam.type: "../bin/dhcp" is not the name of a plugin`},
		{"dot", ".", []string{dir}, `ipam.type: "." is not the name of a plugin`},
		{"dots", "..", []string{dir}, `ipam.type: ".." is not the name of a plugin`},
		{"zero", "a\x00", []string{dir}, `ipam.type: "a\x00" is not the name of a plugin`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(&cni.Request{Path: tt.path}, tt.kind)
			if err == nil || err.Error() != tt.want || cni.Code(err) != cni.CodeConfig {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestNewInProcess: only the program that the runtime would find counts, and only
// under host-local's name.
func TestNewInProcess(t *testing.T) {
	ours, other := besideMe(t), t.TempDir()
	link(t, filepath.Join(ours, "host-local"))
	link(t, filepath.Join(ours, "static"))
	script(t, other, "host-local", "")
	tests := []struct {
		name, kind string
		path       []string
		want       bool
	}{
		{"this program", "host-local", []string{ours}, true},
		{"this program behind missing directories", "host-local", []string{"/nowhere", ours}, true},
		{"another's comes first", "host-local", []string{other, ours}, false},
		{"another name", "static", []string{ours}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(&cni.Request{Path: tt.path}, tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			if p.InProcess() != tt.want {
				t.Errorf("got %t, want %t", p.InProcess(), tt.want)
			}
		})
	}
}

// delegate is a request with the environment that delegation passes on.
func delegate(t *testing.T, dir string) *cni.Request {
	t.Helper()
	t.Setenv("CNI_PATH", dir)
	t.Setenv("CNI_COMMAND", "ADD")
	t.Setenv("CNI_CONTAINERID", "c1")
	t.Setenv("CNI_IFNAME", "eth0")
	t.Setenv("CNI_NETNS", "/run/netns/c1")
	return &cni.Request{Path: []string{dir}, CNIVersion: "1.1.0", Config: []byte(`{"cniVersion": "1.1.0", "name": "net", "ipam": {"type": "static"}}`)}
}

func TestDelegateAdd(t *testing.T) {
	tests := []struct {
		name, body string
		code       uint
		want       string // the error; "" is success
		calls      string
	}{
		{"success", `echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}'`, 0, "", "ADD"},
		{"success, old version", `echo '{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.2/24"}]}'`, 0, "", "ADD"},
		{"its own code", `echo '{"cniVersion": "1.1.0", "code": 11, "msg": "no lease yet"}'; exit 1`, 11, "ipam static: no lease yet", "ADD DEL"},
		{"no code", `echo '{"cniVersion": "1.1.0", "msg": "oops"}'; exit 1`, cni.CodeIPAM, "ipam static: oops", "ADD DEL"},
		{"no JSON", `echo nonsense; exit 1`, cni.CodeIPAM, "ipam static: ADD: exit status 1, and it said", "ADD DEL"},
		{"nothing", ``, cni.CodeIPAM, "ipam static: ", "ADD DEL"},
		{"null for an address", `echo '{"cniVersion": "1.1.0", "ips": [null]}'`, cni.CodeIPAM, "ipam static: ", "ADD DEL"},
		{"null for a route", `echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}], "routes": [null]}'`, cni.CodeIPAM, "ipam static: ", "ADD DEL"},
		// It may have leased something all the same.
		{"no address", `echo '{"cniVersion": "1.1.0"}'`, cni.CodeIPAM, "ipam static: answered without an address", "ADD DEL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			// DEL succeeds whatever ADD did.
			log := script(t, dir, "static", `[ $CNI_COMMAND = DEL ] && exit 0`+"\n"+tt.body)
			req := delegate(t, dir)
			p, err := New(req, "static")
			if err != nil {
				t.Fatal(err)
			}
			res, err := p.Add(req)
			switch {
			case tt.want == "" && (err != nil || res.IPs[0].Address.String() != "10.1.0.2/24"):
				t.Errorf("got %v, %v", res, err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) || cni.Code(err) != tt.code):
				t.Errorf("got %v, want code %d: %s", err, tt.code, tt.want)
			}
			if calls := calls(t, log); calls != tt.calls {
				t.Errorf("called %s, want %s", calls, tt.calls)
			}
		})
	}
}

func calls(t *testing.T, log string) string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestDelegateVerbs(t *testing.T) {
	for _, verb := range []string{"DEL", "CHECK", "GC", "STATUS"} {
		for status, want := range map[string]string{"exit 0": "", `echo '{"code": 50, "msg": "down"}'; exit 1`: "ipam static: down"} {
			dir := t.TempDir()
			log := script(t, dir, "static", status)
			req := delegate(t, dir)
			p, err := New(req, "static")
			if err != nil {
				t.Fatal(err)
			}
			err = map[string]func(*cni.Request) error{"DEL": p.Del, "CHECK": p.Check, "GC": p.GC, "STATUS": p.Status}[verb](req)
			if want == "" && err != nil || want != "" && (err == nil || err.Error() != want || cni.Code(err) != 50) {
				t.Errorf("%s: got %v, want %q", verb, err, want)
			}
			if got := calls(t, log); got != verb {
				t.Errorf("called %s, want %s", got, verb)
			}
		}
	}
}

func TestInProcessAdd(t *testing.T) {
	dir := besideMe(t)
	link(t, filepath.Join(dir, "host-local"))
	res := &current.Result{IPs: []*current.IPConfig{{Address: net.IPNet{IP: net.IPv4(10, 1, 0, 2), Mask: net.CIDRMask(24, 32)}}}}
	for _, want := range []*current.Result{res, {}} {
		p, err := New(&cni.Request{Path: []string{dir}}, "host-local")
		if err != nil {
			t.Fatal(err)
		}
		p.Plugin.Add = func(*cni.Request) (*current.Result, error) { return want, nil } // in place of pkg/lease's
		got, err := p.Add(&cni.Request{})
		if len(want.IPs) == 0 {
			if err == nil || err.Error() != "ipam host-local: answered without an address" || cni.Code(err) != cni.CodeIPAM {
				t.Errorf("got %v", err)
			}
		} else if got != want || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
}
