package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

var families = map[nftables.TableFamily]string{
	nftables.TableFamilyINet:   "inet",
	nftables.TableFamilyIPv4:   "ip",
	nftables.TableFamilyIPv6:   "ip6",
	nftables.TableFamilyARP:    "arp",
	nftables.TableFamilyNetdev: "netdev",
	nftables.TableFamilyBridge: "bridge",
}

func (s Snapshot) takeNft() error {
	c, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseLasting() }() // read-only, nothing to lose
	tables, err := c.ListTables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		name := families[t.Family] + " " + t.Name
		s.put("nft table "+name, fmt.Sprintf("flags %d", t.Flags))
		if err := s.takeSets(c, t, name); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		if err := s.takeObjects(c, t, name); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	chains, err := c.ListChains()
	if err != nil {
		return err
	}
	for _, ch := range chains {
		rules, err := c.GetRules(ch.Table, ch)
		if err != nil {
			return fmt.Errorf("chain %s: %w", ch.Name, err)
		}
		s.put(fmt.Sprintf("nft chain %s %s %s", families[ch.Table.Family], ch.Table.Name, ch.Name), chainText(ch, rules))
	}
	return nil
}

func chainText(ch *nftables.Chain, rules []*nftables.Rule) string {
	w := words{}
	w.add("type", string(ch.Type))
	if ch.Hooknum != nil {
		w.add("hook", fmt.Sprint(*ch.Hooknum))
	}
	if ch.Priority != nil {
		w.add("priority", fmt.Sprint(*ch.Priority))
	}
	if ch.Policy != nil {
		w.add("policy", fmt.Sprint(*ch.Policy))
	}
	w.add("device", ch.Device)
	lines := []string{"chain " + w.String()}
	for _, r := range rules {
		lines = append(lines, "rule "+ruleText(r))
	}
	return strings.Join(lines, "\n")
}

// ruleText is the rule's expressions, each with all its fields: long, but nothing
// hides in it. What moves on its own, counts and transaction numbers, is cleared.
func ruleText(r *nftables.Rule) string {
	var parts []string
	for _, e := range r.Exprs {
		kind := reflect.TypeOf(e).Elem().Name()
		switch e := e.(type) {
		case *expr.Counter:
			e.Bytes, e.Packets = 0, 0
		case *expr.Lookup:
			e.SetID = 0
		}
		fields, err := json.Marshal(e)
		if err != nil {
			fields = fmt.Appendf(nil, "%+v", e)
		}
		parts = append(parts, kind+string(fields))
	}
	if comment, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok {
		parts = append(parts, fmt.Sprintf("comment %q", comment))
	}
	return strings.Join(parts, " ")
}

func (s Snapshot) takeSets(c *nftables.Conn, t *nftables.Table, name string) error {
	sets, err := c.GetSets(t)
	if err != nil {
		return err
	}
	for _, set := range sets {
		elements, err := c.GetSetElements(set)
		if err != nil {
			return fmt.Errorf("set %s: %w", set.Name, err)
		}
		if set.Table.Name == "bridgeport" && strings.HasPrefix(set.Name, "asked") {
			elements = nil // what packets leave in it, nobody takes back
		}
		lines := make([]string, len(elements))
		for i, e := range elements {
			lines[i] = "element " + elementText(set, e)
		}
		slices.Sort(lines)
		head := fmt.Sprintf("set type %s data %s map %t anonymous %t interval %t dynamic %t timeout %v size %d comment %q",
			set.KeyType.Name, set.DataType.Name, set.IsMap, set.Anonymous, set.Interval, set.Dynamic, set.Timeout, set.Size, set.Comment)
		s.put("nft set "+name+" "+set.Name, strings.Join(append([]string{head}, lines...), "\n"))
	}
	return nil
}

func (s Snapshot) takeObjects(c *nftables.Conn, t *nftables.Table, name string) error {
	objects, err := c.GetNamedObjects(t)
	if err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	for _, o := range objects {
		if named, ok := o.(*nftables.NamedObj); ok {
			s.put(fmt.Sprintf("nft object %s %s", name, named.Name), fmt.Sprintf("type %d", named.Type))
		}
	}
	flowtables, err := c.ListFlowtables(t)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) { // a kernel without flowtables
		return nil
	}
	for _, f := range flowtables {
		s.put(fmt.Sprintf("nft flowtable %s %s", name, f.Name), fmt.Sprintf("devices %v", f.Devices))
	}
	return err
}

// takeXtables names the tables of the older iptables in use; those of iptables-nft
// are nftables ones.
func (s Snapshot) takeXtables() error {
	for _, file := range []string{"ip_tables_names", "ip6_tables_names", "arp_tables_names"} {
		names, err := os.ReadFile("/proc/thread-self/net/" + file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, name := range strings.Fields(string(names)) {
			s.put("xtables "+file+" "+name, "in use")
		}
	}
	return nil
}
