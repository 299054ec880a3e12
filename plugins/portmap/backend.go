package portmap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

const (
	nftables = "nftables"
	legacy   = "iptables"
	// defaultMarkBit is the bit of the mark 0x2000, as in the reference.
	defaultMarkBit = 13
	maxMarkBit     = 31
	// maxChain is XT_EXTENSION_MAXNAMELEN less the terminating zero.
	maxChain = 28
)

// backend chooses: what the configuration names, else iptables where an option is
// for iptables only, else nftables.
func (w *wire) backend(c *Conf) error {
	if w.Backend != nil && *w.Backend != nftables && *w.Backend != legacy {
		return fmt.Errorf("backend: %q is neither %q nor %q", *w.Backend, nftables, legacy)
	}
	only := w.onlyIPTables()
	if w.Backend != nil && *w.Backend == nftables && len(only) > 0 {
		return fmt.Errorf("%s: is for the iptables backend only: remove it or set \"backend\": \"iptables\"", only[0])
	}
	c.IPTables = w.Backend != nil && *w.Backend == legacy || len(only) > 0
	if !c.IPTables {
		return w.nftConditions()
	}
	return w.options(c)
}

// onlyIPTables are the keys that only that backend knows.
func (w *wire) onlyIPTables() []string {
	var keys []string
	if w.ExternalSetMarkChain != nil {
		keys = append(keys, "externalSetMarkChain")
	}
	if w.MarkMasqBit != nil {
		keys = append(keys, "markMasqBit")
	}
	if forIPTables(w.ConditionsV4) {
		keys = append(keys, "conditionsV4")
	}
	if forIPTables(w.ConditionsV6) {
		keys = append(keys, "conditionsV6")
	}
	return keys
}

// forIPTables tells the two forms of conditions apart as the reference does: words
// of iptables begin with an option or a negation.
func forIPTables(words *[]string) bool {
	return words != nil && len(*words) > 0 && (strings.HasPrefix((*words)[0], "-") || strings.HasPrefix((*words)[0], "!"))
}

func (w *wire) nftConditions() error {
	for _, c := range []struct {
		key   string
		words *[]string
	}{{"conditionsV4", w.ConditionsV4}, {"conditionsV6", w.ConditionsV6}} {
		if c.words != nil && len(*c.words) > 0 {
			return cni.Errorf(cni.CodeField, "%s: %q: conditions are not supported by the nftables backend: use iptables words and \"backend\": \"iptables\"", c.key, *c.words)
		}
	}
	return nil
}

// options checks what is handed to iptables-restore, whose lines end at a line break.
func (w *wire) options(c *Conf) error {
	c.Rules.MarkBit = defaultMarkBit
	if w.ExternalSetMarkChain != nil && w.MarkMasqBit != nil {
		return errors.New("externalSetMarkChain: cannot stand together with markMasqBit: remove one of them")
	}
	if w.MarkMasqBit != nil {
		if *w.MarkMasqBit < 0 || *w.MarkMasqBit > maxMarkBit {
			return fmt.Errorf("markMasqBit: %d is outside 0-%d", *w.MarkMasqBit, maxMarkBit)
		}
		c.Rules.MarkBit = *w.MarkMasqBit
	}
	if chain := w.ExternalSetMarkChain; chain != nil {
		if !cni.ValidName(*chain) || len(*chain) > maxChain {
			return fmt.Errorf("externalSetMarkChain: %q is not a chain's name", *chain)
		}
		c.Rules.MarkChain = *chain
	}
	var err error
	if c.Rules.Conditions4, err = words("conditionsV4", w.ConditionsV4); err != nil {
		return err
	}
	c.Rules.Conditions6, err = words("conditionsV6", w.ConditionsV6)
	return err
}

// decides says whether a word would make a condition decide what happens to packets,
// or where: -j, -g, -t, also with the value attached, and --jump, --goto, --table, also
// abbreviated, as getopt_long(3) takes them.
func decides(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	if strings.HasPrefix(name, "--") {
		return len(name) > 2 && slices.ContainsFunc([]string{"--jump", "--goto", "--table"}, func(long string) bool {
			return strings.HasPrefix(long, name)
		})
	}
	return len(word) > 1 && word[0] == '-' && strings.ContainsRune("jgt", rune(word[1]))
}

func words(key string, list *[]string) ([]string, error) {
	if list == nil {
		return nil, nil
	}
	for _, word := range *list {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("%s: %q holds more than printable characters", key, word)
		}
		if decides(word) {
			return nil, fmt.Errorf("%s: %q is no condition", key, word)
		}
	}
	return *list, nil
}
