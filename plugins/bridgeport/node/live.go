package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
)

// liveTable is made for a live trace, and removed after it.
const liveTable = "bridgeport-trace"

// Live hands out what nft(8) tells of each real packet from the source to the port,
// until ctx ends. It marks such packets in a table of its own.
func Live(ctx context.Context, out io.Writer, from netip.Addr, proto string, port uint16) error {
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("--live needs the program nft: apt-get install nftables")
	}
	match := fmt.Sprintf("%s dport %d meta nftrace set 1", proto, port)
	if from.IsValid() {
		match = map[bool]string{true: "ip", false: "ip6"}[from.Is4()] + " saddr " + from.String() + " " + match
	}
	// Adding the table twice would add its rules twice.
	script := fmt.Sprintf("add table inet %[1]s\ndelete table inet %[1]s\n", liveTable)
	for _, hook := range []string{"prerouting", "output"} {
		script += fmt.Sprintf("table inet %s {\n chain %s {\n type filter hook %s priority -350\n %s\n }\n}\n", liveTable, hook, hook, match)
	}
	load := exec.Command("nft", "-f", "-")
	load.Stdin = strings.NewReader(script)
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("--live: %w: %s", err, bytes.TrimSpace(out))
	}
	defer func() { _ = exec.Command("nft", "delete", "table", "inet", liveTable).Run() }()
	cmd := exec.CommandContext(ctx, "nft", "monitor", "trace")
	cmd.Stdout = out
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Ruleset is everybody's rules: as nft(8) prints them where it is installed, else the
// chains and how many rules they have.
func Ruleset() string {
	if out, err := exec.Command("nft", "list", "ruleset").Output(); err == nil {
		return string(out)
	}
	chains, err := Chains()
	if err != nil {
		return err.Error() + "\n"
	}
	text := ""
	for _, c := range chains {
		text += fmt.Sprintf("%s hook %s priority %d: %d rules\n", c, c.Hook, c.Priority, c.Length())
	}
	return text
}
