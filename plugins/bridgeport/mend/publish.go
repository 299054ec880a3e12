package mend

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
)

// Published is what Publish or Unpublish did, or would do.
type Published struct {
	Name     string   `json:"name"`
	Ports    []string `json:"ports"`
	Commands []string `json:"commands,omitempty"` // what a person would type; of publish only with dry
	Lasts    string   `json:"lasts,omitempty"`    // how long the ports are there
}

// Lasts is how long a port that was added by hand is there.
const Lasts = "until the container is removed or restarted"

// Beside takes what an attachment's ports by hand stand beside, and its mark counts with them.
func Beside(o plan.Object) bool {
	_, is := o.(firewall.Ports)
	return is
}

// Publish adds ports to a running container, with what an ADD would make for them. With dry it changes
// nothing.
func Publish(a *attachment.Attachment, mappings []map[string]any, dry bool) (*Published, error) {
	switch {
	case a.State == attachment.Drift:
		return nil, fmt.Errorf("%s differs from what its ADD made: run bridgeport repair first: %s", a.Name(), strings.Join(a.Notes, "; "))
	case a.State != attachment.OK:
		return nil, fmt.Errorf("%s is %s: only a running container that Bridgeport has attached can get ports", a.Name(), a.State)
	case a.Cached == nil:
		return nil, fmt.Errorf("%s: libcni's cache does not know it, so nothing tells how its network publishes ports", a.Name())
	}
	done := &Published{Name: a.Name(), Lasts: Lasts}
	alive := dry
	err := a.ByHand(mappings, func(s *plan.Session, p plan.Plan) error {
		if !dry {
			err := p.Add(s)
			l, lerr := s.Host.Link(a.Owner().LinkName())
			alive = lerr == nil && label.Tag(l.Alias) == a.Tag
			return err
		}
		done.Commands = strings.Split(strings.TrimRight(attachment.Missing(s, p, nil), "\n"), "\n")
		return nil
	})
	if err != nil || alive {
		return done, err
	}
	gone, err := takeBack(a)
	if err == nil && gone {
		err = fmt.Errorf("%s was deleted meanwhile: nothing is left of the port", a.Name())
	}
	return done, err
}

// Unpublish removes those of an attachment's ports that is chooses, which must have been added by hand,
// and the tracked connections to them. With dry it changes nothing.
func Unpublish(a *attachment.Attachment, is func(attachment.Port) bool, dry bool) (*Published, error) {
	done := &Published{Name: a.Name(), Ports: []string{}, Commands: []string{}}
	for _, p := range a.Ports {
		if !is(p) {
			continue
		}
		if !p.ByHand {
			return nil, fmt.Errorf("%s of %s is of the container's configuration, not added by hand: CHECK would fail without it; change what the runtime publishes", p.Key(), a.Name())
		}
		if !slices.Contains(done.Ports, p.String()) {
			done.Ports = append(done.Ports, p.String())
		}
	}
	var ports []nft.Element
	for _, e := range a.Elements {
		if names, _ := label.Parse(e.Comment); names.ByHand() && is(attachment.PortOf(e)) {
			ports = append(ports, e)
			done.Commands = append(done.Commands, e.Deletion())
		}
	}
	if dry {
		return done, nil
	}
	return done, plan.With(nil, func(s *plan.Session) error { return firewall.Withdraw(s, a.Owner(), ports) })
}
