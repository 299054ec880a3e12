package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	contextDir = "/var/lib/builds/context"
	pool       = "/var/lib/buildkit/net/cni" // buildkitd's namespaces
	poolSize   = 3
)

// seenAs is what pod prints in a build, in the middle of buildctl's line.
const seenAs = `seen as (\S+)`

// ask is a step that asks the servers of the client's.
func ask(network, addr string) string {
	return fmt.Sprintf(`RUN ["/pod", "ask", %q, %q]`, network, net.JoinHostPort(addr, "7000"))
}

// argv is buildctl for the steps, on an image of one program.
func (t *test) argv(name string, options []string, steps ...string) ([]string, error) {
	dir := "/var/lib/builds/" + name
	text := strings.Join(append([]string{"FROM scratch", "COPY pod /pod"}, steps...), "\n") + "\n"
	argv := []string{
		"sh", "-c", `exec "$@" 2>&1`, "sh", "buildctl", "--addr", socket, "build", "--frontend", "dockerfile.v0",
		"--local", "context=" + contextDir, "--local", "dockerfile=" + dir, "--no-cache", "--progress", "plain",
	}
	return append(argv, options...), t.node.Write(dir+"/Dockerfile", text)
}

// build runs the steps, and returns the addresses that servers saw them come from.
func (t *test) build(name string, options []string, steps ...string) (seen []string, err error) {
	argv, err := t.argv(name, options, steps...)
	if err != nil {
		return nil, err
	}
	out, err := t.node.Run(argv...)
	if err != nil {
		return nil, err
	}
	for _, m := range regexp.MustCompile(seenAs).FindAllStringSubmatch(out, -1) {
		client, err := netip.ParseAddrPort(m[1])
		if err != nil {
			return nil, err
		}
		seen = append(seen, client.Addr().Unmap().String())
	}
	if len(seen) != strings.Count(strings.Join(steps, "\n"), `"ask"`) {
		err = fmt.Errorf("answers %v in %s", seen, out)
	}
	return seen, err
}

// namespaces are those that buildkitd keeps.
func (t *test) namespaces() (ids []string, err error) {
	entries, err := os.ReadDir(t.node.Root(pool))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, err
}

// pooled wants so many namespaces, and as many attachments.
func (t *test) pooled(want int) error {
	ids, err := t.namespaces()
	if err != nil {
		return err
	}
	have, err := kit.Links(t.node.Space)
	veths := 0
	for _, name := range have {
		if strings.HasPrefix(name, "veth") {
			veths++
		}
	}
	if err == nil && (len(ids) != want || veths != want) {
		err = fmt.Errorf("%d namespaces and %d links, want %d", len(ids), veths, want)
	}
	return err
}

// serving is the namespace of the build that serves.
func (t *test) serving() (space *stage.Space, err error) {
	ids, err := t.namespaces()
	for _, id := range ids {
		space, eerr := t.node.Enter(filepath.Join(pool, id))
		if eerr != nil {
			continue // it may have gone meanwhile
		}
		if space.Seen("tcp", "127.0.0.1", "80") == nil {
			return space, nil
		}
		err = errors.Join(err, space.NS.Close())
	}
	return nil, errors.Join(err, fmt.Errorf("none of %d namespaces serves", len(ids)))
}
