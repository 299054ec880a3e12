package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
)

func attachmentChecks() []Check {
	return []Check{
		{
			"drift", "attachments are as their ADD made them", Warn,
			"what CHECK would report; a runtime that checks (CRI-O) restarts such pods",
			drift,
		},
		{
			"half-attached", "containers' links have their other ends", Fail,
			"the container has addresses, but no way to anywhere",
			func(p *Patient) []symptom { return p.drifted("the host's link") },
		},
		{
			"orphan-cache", "libcni's cache has no dead attachments", Warn,
			"a runtime that calls GC deletes them again and again; ports and addresses may stay taken",
			func(p *Patient) []symptom {
				return p.orphans("cache entry", func(a *attachment.Attachment) int {
					if a.Cached == nil {
						return 0
					}
					return 1
				})
			},
		},
		{
			"unsure", "each attachment is known to live or to be dead", Warn,
			"bridgeport gc keeps it, whatever it is",
			unsure,
		},
	}
}

// told are drifts that have a check of their own.
var told = []string{"element", "masquerade", "published port", "is down", "plugged into no bridge", "port of bridge", "the host's link", ": address ", ": route ", "the lease of", "ip_forward", "all.forwarding", "accept_ra is"}

func drift(p *Patient) []symptom {
	var list []symptom
	for _, a := range p.List {
		var notes []string
		for _, note := range a.Notes {
			for _, part := range strings.Split(note, "; ") {
				if !containsAny(part, told) && !ofBaseChain(part) && !strings.Contains(part, "gateway") {
					notes = append(notes, part)
				}
			}
		}
		if a.State == attachment.Drift && len(notes) > 0 {
			list = append(list, one("bridgeport repair", "%s: %s", a.Name(), strings.Join(notes, "; "))...)
		}
	}
	return several(list)
}

// ofBaseChain says whether the check of the rules tells it.
func ofBaseChain(note string) bool {
	return slices.ContainsFunc(ruleset.Base().Chains(), func(c nft.Chain) bool {
		rest, is := strings.CutPrefix(note, "chain inet "+nft.Table+" "+c.Name)
		return is && (rest == "" || strings.ContainsAny(rest[:1], " :"))
	})
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

func unsure(p *Patient) []symptom {
	var list []symptom
	for _, a := range p.List {
		if a.State == attachment.Doubt {
			list = append(list, one(fmt.Sprintf("look who it is: bridgeport who %s; a DEL by its runtime removes it", a.Container), "%s: %s", a.Name(), strings.Join(a.Notes, "; "))...)
		}
	}
	return several(list)
}
