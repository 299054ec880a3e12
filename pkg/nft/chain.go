package nft

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/nftables"
)

// Table is the name of our tables. Nobody else's is touched.
const Table = "bridgeport"

// Family is that of a table of ours, as nft(8) names it.
type Family string

// The families of our tables.
const (
	Inet   Family = "inet"
	Bridge Family = "bridge"
	Netdev Family = "netdev" // chains at the ingress of a device
)

// Chain is a chain of our tables with its rules. An existing chain never changes: the name of a
// network's chain ends in a digest of its rules, so that a changed configuration makes a new chain
// and old attachments keep the old one.
type Chain struct {
	Name   string
	Family Family // of its table; "" is Inet
	Hook   *Hook  // nil for a chain that others jump to
	Rules  []Rule // see rules
	// Later makes the rules for who needs them: the name tells them apart, and they are many. Nil where
	// Rules has them.
	Later func() []Rule
	Anew  bool // make an existing chain again: at the ingress of a deleted device it is bound to nothing
}

func (c Chain) family() Family { return cmp.Or(c.Family, Inet) }

func (c Chain) rules() []Rule {
	if c.Later != nil {
		return c.Later()
	}
	return c.Rules
}

// label is the chain in a sentence.
func (c Chain) label() string { return fmt.Sprintf("chain %s %s %s", c.family(), Table, c.Name) }

// Hook is where packets enter a base chain.
type Hook struct {
	Type         string // "filter" or "nat"
	Name         string // "prerouting", "input", "forward", "output", "postrouting" or "ingress"
	Device       string // of ingress
	Priority     int32
	PriorityName string // as nft(8) says it; "" for the number
}

// String is the hook as nft(8) says it.
func (h Hook) String() string {
	device, priority := "", cmp.Or(h.PriorityName, fmt.Sprint(h.Priority))
	if h.Device != "" {
		device = fmt.Sprintf(" device %q", h.Device)
	}
	return fmt.Sprintf("type %s hook %s%s priority %s", h.Type, h.Name, device, priority)
}

func (h Hook) number() *nftables.ChainHook {
	return map[string]*nftables.ChainHook{
		"prerouting": nftables.ChainHookPrerouting, "forward": nftables.ChainHookForward, "input": nftables.ChainHookInput,
		"output": nftables.ChainHookOutput, "postrouting": nftables.ChainHookPostrouting,
		"ingress": nftables.ChainHookIngress,
	}[h.Name]
}

// String is the nft(8) commands that make the chain.
func (c Chain) String() string {
	var b strings.Builder
	at := ""
	if c.Hook != nil {
		at = " { " + c.Hook.String() + " ; }"
	}
	if c.Family == Netdev {
		b.WriteString(command("add table %s %s", c.Family, Table) + "\n")
	}
	for _, r := range c.rules() {
		for _, set := range r.names() {
			b.WriteString(set + "\n")
		}
	}
	b.WriteString(command("add chain %s %s %s%s", c.family(), Table, c.Name, at))
	return b.String() + c.rulesText()
}

// RefillText is the nft(8) commands that give a chain which exists its rules again.
func (c Chain) RefillText() string {
	return command("flush chain %s %s %s", c.family(), Table, c.Name) + c.rulesText()
}

func (c Chain) rulesText() (text string) {
	for _, r := range c.rules() {
		text += "\n" + command("add rule %s %s %s %s comment %q", c.family(), Table, c.Name, r.Text, r.Comment)
	}
	return text
}

// Named is a chain of family inet with a name of prefix and a digest of the rules.
func Named(prefix string, rules []Rule) Chain {
	var text strings.Builder
	for _, r := range rules {
		text.WriteString(r.Text + "\n")
	}
	return Chain{Name: chainName(prefix, []byte(text.String()), 4), Rules: rules}
}

// NamedBy is Named with rules that are made when somebody needs them: source says all that they follow
// from. The digest is long enough that who may write a container's rules finds no others with the same name.
func NamedBy(prefix string, source []byte, rules func() []Rule) Chain {
	return Chain{Name: chainName(prefix, source, 16), Later: rules}
}

// chainName ends in so many bytes of the digest. A chain's name may be 255 bytes (NFT_NAME_MAXLEN); a
// network's is not limited.
func chainName(prefix string, source []byte, size int) string {
	sum := sha256.Sum256(source)
	return prefix[:min(len(prefix), 100)] + "-" + hex.EncodeToString(sum[:size])
}
