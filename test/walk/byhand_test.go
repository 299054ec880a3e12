package walk

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// operate runs a sub-command of bridgeport about an attachment, of which libcni's cache tells.
func (w *world) operate(a *attachment, command, port string) (status int, out string) {
	w.t.Helper()
	list := make([]stage.Conf, len(a.plugins))
	for i, p := range a.plugins {
		list[i] = p.With(stage.Conf{"name": nil})
	}
	entry := stage.Encode(stage.Conf{
		"kind": "cniCacheV1", "containerId": a.box.ID, "ifName": a.ifName, "networkName": a.net.name, "netns": a.box.Path,
		"config":         stage.Encode(stage.Conf{"cniVersion": "1.1.0", "name": a.net.name, "plugins": list}),
		"capabilityArgs": stage.Conf{"portMappings": a.ports}, "result": json.RawMessage(a.result),
	})
	cache := w.t.TempDir() // not among the few inodes
	w.Must(os.Mkdir(filepath.Join(cache, "results"), 0o755))
	w.Must(os.WriteFile(filepath.Join(cache, "results", "of"), entry, 0o600))
	cmd := exec.Command(filepath.Join(w.Bin, "bridgeport"), "--bin-dir", w.Bin, "--cache-dir", cache, "--conf-dir", cache, "--data-dir", w.Data(), command, a.String(), port)
	var text []byte
	w.Must(w.Host.Do(func() error {
		text, _ = cmd.CombinedOutput()
		return nil
	}))
	return cmd.ProcessState.ExitCode(), string(text)
}

// stepPublish adds a port by hand to a container that is as its ADD made it.
func (w *world) stepPublish() string {
	whole := func(a *attachment) bool {
		return !a.box.lost && !a.unleased && len(a.addrs) > 0 && len(a.hand) == 0 && w.bridgeMTU(a.net.bridge) == a.mtu
	}
	list := w.of(whole)
	if len(list) == 0 {
		return ""
	}
	a := pick(w, list)
	with := *a
	number := 8200 + w.rng.IntN(3)
	with.ports, with.hand = nil, []map[string]any{stage.Port("tcp", number, 80)}
	_, holder := w.samePort(&with, func(o *attachment) bool { return true })
	if holder != nil && holder.box.lost {
		return "" // stepAdd takes over the ports of lost ones
	}
	status, out := w.operate(a, "publish", fmt.Sprint(number, ":80"))
	text := fmt.Sprintf("%d of %s", number, a)
	switch {
	case holder != nil && status == 1:
		w.kinds["publish, refused"]++
		return text + ", which " + holder.String() + " has"
	case holder != nil || status != 0:
		w.t.Fatalf("publish %s: exit status %d, holder %v: %s", text, status, holder, out)
	}
	a.hand = with.hand
	w.expectCheck(a)
	return text
}

// stepUnpublish takes a port back.
func (w *world) stepUnpublish() string {
	list := w.of(func(a *attachment) bool { return !a.box.lost && len(a.hand) > 0 })
	if len(list) == 0 {
		return ""
	}
	a := pick(w, list)
	port := fmt.Sprint(a.hand[0]["hostPort"])
	if status, out := w.operate(a, "unpublish", port); status != 0 {
		w.t.Fatalf("unpublish %s of %s: exit status %d: %s", port, a, status, out)
	}
	a.hand = nil
	w.expectCheck(a)
	return port + " of " + a.String()
}

// published are the ports of both kinds.
func (a *attachment) published() []map[string]any { return slices.Concat(a.ports, a.hand) }
