package plan

import (
	"errors"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// chained is an object with chains of nf_tables. Its Check compares them, Refill mends them.
type chained interface{ Chains() []nft.Chain }

// Refill puts back the rules of the plan's chains where somebody has changed them. It does
// not make a missing chain; Add does.
func (p Plan) Refill(s *Session) error {
	var chains []nft.Chain
	for _, o := range p.Objects() {
		if c, ok := o.(chained); ok {
			chains = append(chains, c.Chains()...)
		}
	}
	if len(chains) == 0 {
		return nil
	}
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	return rules.Refill(chains...)
}

// CheckChains compares chains with the kernel. Within a plan's Check, chains of family inet
// wait for the end: their table is read as a whole, once.
func (s *Session) CheckChains(chains ...nft.Chain) error {
	if s.deferred != nil && !slices.ContainsFunc(chains, func(c nft.Chain) bool { return c.Family == nft.Bridge }) {
		for _, c := range chains {
			if !slices.ContainsFunc(s.deferred, func(o nft.Chain) bool { return o.Name == c.Name }) {
				s.deferred = append(s.deferred, c)
			}
		}
		return nil
	}
	if len(chains) == 0 {
		return nil
	}
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	differences, err := rules.Missing(chains...)
	errs := []error{err}
	for _, d := range differences {
		errs = append(errs, Drift{{Kind: ChainKind, Object: d.Chain, Field: d.Rule, Text: d.Text}})
	}
	return errors.Join(errs...)
}
