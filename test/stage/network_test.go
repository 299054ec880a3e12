package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logPlugin appends each verb and its configuration to a file beside itself.
const logPlugin = `#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID $(readlink /proc/self/ns/net) $(tr -d '\n')" >> "${0%/*}/calls"
if [ "$CNI_COMMAND" = ADD ]; then
	echo '{"cniVersion": "1.1.0", "interfaces": [{"name": "'$CNI_IFNAME'"}]}'
fi
`

const logConflist = `{"cniVersion": "1.1.0", "name": "n", "plugins": [
	{"type": "log", "capabilities": {"portMappings": true}}]}`

func TestNetwork(t *testing.T) {
	a, b := pair(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "log"), []byte(logPlugin), 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := a.Network([]byte(logConflist), bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ports := []map[string]any{{"hostPort": 80, "containerPort": 80, "protocol": "tcp"}}
	result, err := n.Add("c", b.Path, "eth0", ports)
	if err != nil || len(result.Interfaces) != 1 {
		t.Fatalf("Add = %v, %v", result, err)
	}
	verbs := []error{n.Status(), n.Check("c", b.Path, "eth0", ports), n.Del("c", b.Path, "eth0", ports), n.GC(nil)}
	for _, err := range verbs {
		if err != nil {
			t.Error(err)
		}
	}
	log, err := os.ReadFile(filepath.Join(bin, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	inside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	for i, want := range []string{"ADD c", "STATUS", "CHECK c", "DEL c", "GC"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("call %d is not %s:\n%s", i, want, log)
		}
		if strings.Contains(lines[i], inside) {
			t.Errorf("%s ran outside of the space", want)
		}
		wantPorts := want != "STATUS" && want != "GC"
		if got := strings.Contains(lines[i], `"hostPort":80`); got != wantPorts {
			t.Errorf("%s: ports given: %v, want %v", want, got, wantPorts)
		}
	}
	if gc := lines[len(lines)-1]; !strings.Contains(gc, `"cni.dev/valid-attachments":[]`) {
		t.Errorf("GC lacks an explicit empty list: %s", gc)
	}
}
