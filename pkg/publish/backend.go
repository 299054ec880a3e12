package publish

import (
	"cmp"
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

// backend reads the options for the configuration's backend. Without one it is iptables if an
// option is for iptables only, else nftables.
func (w *wire) backend(c *Conf) error {
	if w.Backend != nil && *w.Backend != nftables && *w.Backend != legacy {
		return fmt.Errorf("backend: %q is neither %q nor %q", *w.Backend, nftables, legacy)
	}
	if w.Backend != nil && *w.Backend == legacy {
		return w.byIPTables(c)
	}
	err := w.byNFT(c)
	if err == nil || w.Backend != nil || !w.onlyIPTables() {
		return err
	}
	return w.byIPTables(c)
}

func (w *wire) onlyIPTables() bool {
	return w.ExternalSetMarkChain != nil || forIPTables(w.ConditionsV4) || forIPTables(w.ConditionsV6)
}

func (w *wire) byNFT(c *Conf) error {
	if w.ExternalSetMarkChain != nil && w.MarkMasqBit == nil {
		return fmt.Errorf("externalSetMarkChain: %q is a chain of iptables, which rules of nftables can't use: remove it or set \"backend\": \"iptables\"", *w.ExternalSetMarkChain)
	}
	if err := w.options(c); err != nil {
		return err
	}
	if w.MarkMasqBit != nil {
		c.MarkBits = 1 << *w.MarkMasqBit
	}
	var err4, err6 error
	c.Conditions4, err4 = conditions("conditionsV4", w.ConditionsV4, true)
	c.Conditions6, err6 = conditions("conditionsV6", w.ConditionsV6, false)
	return cni.WithCode(cni.CodeField, cmp.Or(err4, err6))
}

func (w *wire) byIPTables(c *Conf) error {
	c.IPTables, c.MarkBits, c.Conditions4, c.Conditions6 = true, 0, nil, nil
	if err := w.options(c); err != nil {
		return err
	}
	var err4, err6 error
	c.Rules.Conditions4, err4 = words("conditionsV4", w.ConditionsV4)
	c.Rules.Conditions6, err6 = words("conditionsV6", w.ConditionsV6)
	return cmp.Or(err4, err6)
}

// forIPTables says whether conditions are in the words of iptables. As in the reference these
// begin with an option or a negation.
func forIPTables(words *[]string) bool {
	return words != nil && len(*words) > 0 && (strings.HasPrefix((*words)[0], "-") || strings.HasPrefix((*words)[0], "!"))
}

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
	return nil
}

// decides says whether a word would be more than a condition: -j, -g, -t, also with the value
// attached, and --jump, --goto, --table, also abbreviated, as getopt_long(3) takes them.
func decides(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	if strings.HasPrefix(name, "--") {
		return len(name) > 2 && slices.ContainsFunc([]string{"--jump", "--goto", "--table"}, func(long string) bool {
			return strings.HasPrefix(long, name)
		})
	}
	return len(word) > 1 && word[0] == '-' && strings.ContainsRune("jgt", rune(word[1]))
}

// words checks the words for iptables-restore, which takes a line break for the end of a rule.
func words(key string, list *[]string) ([]string, error) {
	if list == nil {
		return nil, nil
	}
	if len(*list) > 0 && !forIPTables(list) {
		return nil, cni.Errorf(cni.CodeField, "%s: %q: the iptables backend takes iptables words: use them, or leave \"backend\" out", key, (*list)[0])
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
