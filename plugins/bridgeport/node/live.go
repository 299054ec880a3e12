package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
)

// liveTable is made for a live trace, and removed after it.
const liveTable = "bridgeport-trace"

// Live hands out what nft(8) tells of each real packet from the source to the port,
// until ctx ends. It marks such packets in a table of its own.
func Live(ctx context.Context, out io.Writer, from netip.Addr, proto string, port uint16) error {
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("--live needs the program nft: apt-get install nftables")
	}
	match := ""
	if from.IsValid() {
		family := "ip"
		if !from.Is4() {
			family = "ip6"
		}
		match = fmt.Sprintf("%s saddr %s ", family, from)
	}
	rule := fmt.Sprintf("%s%s dport %d meta nftrace set 1", match, proto, port)
	table := fmt.Sprintf(`table inet %s {
	chain prerouting {
		type filter hook prerouting priority -350
		%s
	}
	chain output {
		type filter hook output priority -350
		%s
	}
}
`, liveTable, rule, rule)
	// Adding the table twice would add its rules twice.
	_ = exec.Command("nft", "delete", "table", "inet", liveTable).Run()
	if err := load(table); err != nil {
		return fmt.Errorf("--live: %w", err)
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

func load(script string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = bytes.NewBufferString(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
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
