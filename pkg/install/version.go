package install

import (
	"context"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Version is what a plugin says of itself when a person calls it: its --version,
// or, as the reference's, what it prints without arguments. "" where it says nothing.
func Version(path string) string {
	for _, args := range [][]string{{"--version"}, nil} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // without CNI_COMMAND it does nothing
		out, _ := cmd.CombinedOutput()                  // the reference exits 1 for --version
		cancel()
		if line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); strings.Contains(strings.ToLower(line), "plugin") {
			return line
		}
	}
	return ""
}

// Ours says whether the program was built from this module, which Go notes in it. It is not executed.
func Ours(path string) bool {
	info, err := buildinfo.ReadFile(path)
	return err == nil && strings.HasPrefix(info.Path, "github.com/bridgeport-cni/bridgeport/")
}

// short is the first words of what a program says of itself.
func short(path string) string {
	if !exists(path) {
		return ""
	}
	if filepath.Base(path) == command {
		return "present"
	}
	version, _, _ := strings.Cut(Version(path), " (")
	if version == "" {
		return "unknown"
	}
	return version
}
