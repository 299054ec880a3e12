package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// A lease is never synced, since a power cut ends all attachments with it. So this is
// what may be on disk afterwards: of the changes of one verb any, in any order; and of
// a file's content all, nothing or zeros. Then it is another boot, and of all that
// must follow: every verb works, no address has two owners, and none is lost.

// small is a pool with five addresses to give.
func small(dataDir string) stage.Conf {
	return stage.Conf{"name": networkName, "type": "host-local", "ipam": stage.HostLocal(dataDir, "10.66.1.0/29")}
}

const poolSize = 5

// entry is a file, a link or a directory of the store, as it may be found.
type entry struct {
	mode fs.FileMode
	text string // content, or where a link leads
}

// disk is the store by path.
type disk map[string]entry

func readDisk(t *testing.T, dir string) disk {
	t.Helper()
	d := make(disk)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path) // both are absolute
		info, err := e.Info()
		if err != nil {
			return err
		}
		it := entry{mode: info.Mode()}
		switch {
		case info.Mode().IsRegular():
			text, rerr := os.ReadFile(path)
			it.text, err = string(text), rerr
		case info.Mode()&fs.ModeSymlink != 0:
			it.text, err = os.Readlink(path)
		}
		d[rel] = it
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d disk) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	paths := []string{}
	for path := range d {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		it, full := d[path], filepath.Join(dir, path)
		// A directory that was lost takes along what is in it.
		if !d.reaches(path) {
			continue
		}
		var err error
		switch {
		case it.mode.IsDir():
			err = os.MkdirAll(full, it.mode.Perm())
		case it.mode&fs.ModeSymlink != 0:
			err = os.Symlink(it.text, full)
		default:
			err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(full, []byte(it.text), it.mode.Perm()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// reaches says whether all directories above are there.
func (d disk) reaches(path string) bool {
	for up := filepath.Dir(path); up != "."; up = filepath.Dir(up) {
		if !d[up].mode.IsDir() {
			return false
		}
	}
	return true
}

// states are all that may be found between before and after: each change with any of
// its outcomes.
func states(before, after disk) []disk {
	type choice struct {
		path  string
		found []*entry
	}
	var choices []choice
	for _, path := range paths(before, after) {
		b, old := before[path]
		a, new := after[path]
		if old && new && a == b {
			continue
		}
		c := choice{path: path}
		if old {
			c.found = append(c.found, &b)
		} else {
			c.found = append(c.found, nil)
		}
		if new {
			c.found = append(c.found, &a)
			if a.mode.IsRegular() && a.text != "" {
				empty, zeros := a, a
				empty.text, zeros.text = "", strings.Repeat("\x00", len(a.text))
				c.found = append(c.found, &empty, &zeros)
			}
		} else {
			c.found = append(c.found, nil)
		}
		choices = append(choices, c)
	}
	list := []disk{{}}
	for path, it := range before {
		list[0][path] = it
	}
	for _, c := range choices {
		var next []disk
		for _, d := range list {
			for _, it := range c.found {
				n := make(disk, len(d)+1)
				for k, v := range d {
					n[k] = v
				}
				if delete(n, c.path); it != nil {
					n[c.path] = *it
				}
				next = append(next, n)
			}
		}
		list = next
	}
	return list
}

func paths(a, b disk) []string {
	var list []string
	for _, d := range []disk{a, b} {
		for path := range d {
			if !slices.Contains(list, path) {
				list = append(list, path)
			}
		}
	}
	slices.Sort(list)
	return list
}

// store is host-local's directory and its calls.
type store struct {
	*stage.Stage
	t *testing.T
}

func (s store) call(verb, id string, change stage.Conf) (stage.Answer, error) {
	answer, err := s.Host.CNI(s.Bin, calling(verb, attachment{id: id, netns: "/none"}, small(s.Data()).With(change)))
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("%s %s: %s", verb, id, answer.Stdout)
	}
	return answer, err
}

// do makes one state's history: verbs in a row, the last of which the power cut hits.
func (s store) do(verbs ...string) (before, after disk) {
	s.t.Helper()
	if err := errors.Join(os.RemoveAll(s.Data()), os.MkdirAll(s.Data(), 0o755)); err != nil {
		s.t.Fatal(err)
	}
	for i, step := range verbs {
		verb, id, _ := strings.Cut(step, " ")
		if i == len(verbs)-1 {
			before = readDisk(s.t, s.Data())
		}
		if _, err := s.call(verb, id, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	return before, readDisk(s.t, s.Data())
}

// boot is the index's mark of the boot that it is from.
func (s store) boot() time.Time {
	s.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(s.index(), &st); err != nil {
		s.t.Fatal(err)
	}
	return time.Unix(st.Atim.Unix())
}

func (s store) index() string { return filepath.Join(s.Data(), ".bridgeport", networkName) }

// mark makes the index look as new as the leases: the times were saved, other things
// not.
func (s store) mark(boot time.Time) {
	s.t.Helper()
	now := time.Now()
	for _, dir := range []string{s.index(), filepath.Join(s.Data(), networkName)} {
		if err := os.Chtimes(dir, boot, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		}
	}
}

// TestPowerCut tries every state of the disk that may follow.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, history := range [][]string{
		{"ADD a"},
		{"ADD a", "ADD b"},
		{"ADD a", "ADD b", "DEL a"},
		{"ADD a", "DEL a", "ADD b"},
	} {
		t.Run(strings.Join(history, ", "), func(t *testing.T) {
			t.Parallel()
			s := store{Stage: stage.Bare(t), t: t}
			before, after := s.do(history...)
			list := states(before, after)
			boot := s.boot()
			tried := 0
			for i, d := range list {
				if every > 1 && i%max(1, len(list)/20) != 0 {
					continue // of thousands a part is enough for a quick run
				}
				tried++
				d.write(t, s.Data())
				s.mark(boot)
				points.Add(1)
				if err := afterBoot(t, s.Dir, s.recover); err != nil {
					leaks.Add(1)
					t.Errorf("%s: %v\nfound: %s", strings.Join(history, ", "), err, text(d))
				}
			}
			t.Logf("%d of %d states", tried, len(list))
		})
	}
}

func text(d disk) string {
	var b strings.Builder
	for _, path := range paths(d, nil) {
		fmt.Fprintf(&b, "\n%s %s %q", d[path].mode, path, d[path].text)
	}
	return b.String()
}

// recover is the next boot: the old containers are taken back by DEL, new ones take
// all addresses, each its own.
func (s store) recover() error {
	recoveries.Add(1)
	// The runtime knows the containers that it had, and takes them back; some of them
	// only later.
	if _, err := s.call("STATUS", "", nil); err != nil {
		return err
	}
	if _, err := s.call("DEL", "a", nil); err != nil {
		return err
	}
	owner := make(map[string]string)
	for i := range poolSize {
		id := fmt.Sprint("new", i)
		answer, err := s.call("ADD", id, nil)
		if err != nil && i == poolSize-1 && strings.Contains(err.Error(), "no IP addresses available") {
			// b's old lease may stand there until its DEL.
			if _, derr := s.call("DEL", "b", nil); derr != nil {
				return derr
			}
			answer, err = s.call("ADD", id, nil)
		}
		if err != nil {
			return err
		}
		addr := answer.Result.IPs[0].Address.String()
		if other, taken := owner[addr]; taken {
			return fmt.Errorf("%s is given to %s and %s", addr, other, id)
		}
		owner[addr] = id
		previous := stage.Conf{"prevResult": json.RawMessage(answer.Stdout)}
		if _, err := s.call("CHECK", id, previous); err != nil {
			return err
		}
	}
	if _, err := s.call("DEL", "b", nil); err != nil {
		return err
	}
	if _, err := s.call("GC", "", stage.Conf{"cni.dev/valid-attachments": []stage.Conf{}}); err != nil {
		return err
	}
	for path := range readDisk(s.t, s.Data()) {
		base := filepath.Base(path)
		if strings.Contains(base, "10.66.") && !strings.Contains(path, "/freed/") {
			return fmt.Errorf("%s is left", path)
		}
	}
	return nil
}
