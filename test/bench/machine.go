package main

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed README.md
var readme string

// methodHeading begins the part of README.md that a run prints, to the end of the file.
const methodHeading = "## How it is measured"

// machine is what figures depend on.
type machine struct {
	begun time.Time
	load  string // average, as the run begins
	disk  string // of the leases
}

func look(dir string) machine {
	m := machine{begun: time.Now(), load: loadAverage(), disk: "unknown"}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil {
		m.disk = fmt.Sprintf("%#x", fs.Type)
		if name, ok := map[int64]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.TMPFS_MAGIC: "tmpfs"}[fs.Type]; ok {
			m.disk = name
		}
	}
	return m
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// print tells method and machine, which the figures mean nothing without.
func (m machine) print(w io.Writer) {
	_, method, _ := strings.Cut(readme, methodHeading)
	fmt.Fprintln(w, methodHeading+method)
	fmt.Fprintf(w, "This run: %s, Linux %s, %d CPUs (%s), leases on %s, load average %s at the beginning and %s at the end, %s long.\n",
		m.begun.UTC().Format("2006-01-02"), kernelRelease(), runtime.NumCPU(), processor(), m.disk, m.load, loadAverage(), time.Since(m.begun).Round(time.Second))
}

func kernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}
