package command

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/mend"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func publishCommand(o *options) *cobra.Command {
	return o.byHand(&cobra.Command{
		Use:   "publish NETWORK/CONTAINER PORT...",
		Short: "Publish ports of a running container",
		Long: `Publish ports of a running container, as its ADD would have: PORT is
[hostIP:]hostPort:containerPort[/protocol], both may be ranges of the same length, the protocol
is tcp, udp or sctp. A port that somebody else has is refused, and the message names the
holder. Existing connections go on. The ports are there until the container is removed or
restarted: the runtime does not know them, and nothing puts them back after
` + "`nft flush ruleset`" + `. ls marks them "added by hand".

Exit status: 0 the ports are published, 1 none is.`,
		Example: `  bridgeport publish podnet/web 8080:80
  bridgeport publish podnet/web 127.0.0.1:5353:53/udp 8000-8009:80-89
  bridgeport publish --dry-run podnet/web 8080:80`,
	}, "publishes", func(a *attachment.Attachment, words []string, dry bool) (*mend.Published, error) {
		var list []map[string]any
		for _, w := range words {
			m, err := mapping(w)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
		done, err := mend.Publish(a, list, dry)
		if done != nil {
			done.Ports = words
		}
		return done, err
	})
}

func unpublishCommand(o *options) *cobra.Command {
	return o.byHand(&cobra.Command{
		Use:   "unpublish NETWORK/CONTAINER PORT...",
		Short: "Take back ports that publish has added",
		Long: `Take back ports that publish has added to a running container, and end the connections to
them. PORT is [hostIP:]hostPort[/protocol], a range, or what ls prints; without a protocol it is
tcp. A port that the container's runtime has published stays: CHECK would fail without it.

Exit status: 0 the ports are gone, 1 all are as they were.`,
		Example: `  bridgeport unpublish podnet/web 8080
  bridgeport unpublish podnet/web 5353/udp 8000-8009`,
	}, "no longer publishes", func(a *attachment.Attachment, words []string, dry bool) (*mend.Published, error) {
		var spans []span
		for _, w := range words {
			s, err := parseSpan(w)
			if err != nil {
				return nil, err
			}
			has := false
			for _, p := range a.Ports {
				has = has || s.has(p)
			}
			if !has {
				return nil, fmt.Errorf("%s: %s does not publish it: bridgeport ls lists its ports", w, a.Name())
			}
			spans = append(spans, s)
		}
		return mend.Unpublish(a, func(p attachment.Port) bool {
			has := false
			for _, s := range spans {
				has = has || s.has(p)
			}
			return has
		}, dry)
	})
}

// byHand completes a command that changes ports of one attachment.
func (o *options) byHand(c *cobra.Command, did string, do func(*attachment.Attachment, []string, bool) (*mend.Published, error)) *cobra.Command {
	var dry bool
	c.Flags().BoolVar(&dry, "dry-run", false, "print the commands and change nothing")
	c.Args, c.ValidArgsFunction = cobra.MinimumNArgs(2), o.completing(func(v view) (words []string) {
		for _, a := range v.list {
			if len(v.args) == 0 && a.State == attachment.OK {
				words = append(words, a.Network+"/"+a.Container)
			}
			for _, p := range a.Ports {
				if len(v.args) > 0 && c.Name() == "unpublish" && p.ByHand && named(a, v.args[0]) {
					words = append(words, p.Key())
				}
			}
		}
		return words
	})
	c.RunE = o.run(func(p *show.Printer, args []string) error {
		o.compared = mend.Beside
		n, list, err := o.lookAt(args[0])
		if err != nil {
			return err
		}
		a, err := view{n, list, args}.one(args[0])
		if err != nil {
			return err
		}
		done, err := do(a, args[1:], dry)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name(), err)
		}
		return p.Value(done, func() {
			if dry {
				p.Line("%s", strings.Join(done.Commands, "\n"))
				return
			}
			p.Line("%s %s %s", p.Name(done.Name), p.Good(did), strings.Join(done.Ports, ", "))
			if done.Lasts != "" {
				p.Line("%s", "  "+done.Lasts)
			}
		})
	})
	return c
}

// named says whether the word is NETWORK/CONTAINER or NETWORK/CONTAINER/INTERFACE of the attachment.
func named(a *attachment.Attachment, word string) bool {
	who, ok := strings.CutPrefix(word, a.Network+"/")
	return ok && (a.Is(who) || a.Is(strings.TrimSuffix(who, "/"+a.IfName)))
}

// one is the attachment with the name.
func (v view) one(word string) (found *attachment.Attachment, err error) {
	for _, a := range v.list {
		switch {
		case !named(a, word):
		case found != nil:
			return nil, fmt.Errorf("%s: it may be %s or %s: say which", word, found.Name(), a.Name())
		default:
			found = a
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s: no such attachment: NETWORK/CONTAINER as bridgeport ls lists them", word)
	}
	return found, nil
}

// published is [hostIP:]hostPort[-last]:containerPort[-last][/protocol].
var published = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\[?([^\]]+?)\]?:)?(\d{1,5})(?:-(\d{1,5}))?:(\d{1,5})(?:-(\d{1,5}))?(?:/(\w+))?$`)
})

// mapping is an entry of portMappings. Portmap checks the values.
func mapping(text string) (map[string]any, error) {
	m := published().FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%s: wants [hostIP:]hostPort:containerPort[/protocol]", text)
	}
	number := func(i int) int { n, _ := strconv.Atoi(cmp.Or(m[i], m[i-1])); return n } // digits
	host, container := number(2), number(4)
	if number(3)-host != number(5)-container || number(3) < host {
		return nil, fmt.Errorf("%s: the ranges of ports are not of the same length", text)
	}
	return map[string]any{"hostIP": m[1], "hostPort": host, "containerPort": container, "range": number(3) - host + 1, "protocol": m[6]}, nil
}

// span is published ports in a row.
type span struct {
	hostPort
	last uint16
}

var spanned = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(\d{1,5})-(\d{1,5})`) })

func parseSpan(word string) (s span, err error) {
	text, last := word, ""
	if m := spanned().FindStringSubmatch(word); m != nil {
		text, last = strings.Replace(word, m[0], m[1], 1), m[2]
	}
	h, is, err := parsePort(text)
	if err != nil || !is {
		return s, cmp.Or(err, fmt.Errorf("%s: wants [hostIP:]hostPort[/protocol]", word))
	}
	h.Protocol = cmp.Or(h.Protocol, "tcp")
	n, err := strconv.ParseUint(cmp.Or(last, fmt.Sprint(h.Number)), 10, 16)
	if err != nil || uint16(n) < h.Number {
		return s, fmt.Errorf("%s: no range of ports ends at %s", word, last)
	}
	return span{h, uint16(n)}, nil
}

func (s span) has(p attachment.Port) bool {
	one := s.hostPort
	one.Number = min(max(p.HostPort, s.Number), s.last)
	return one.takes(p.Protocol, p.HostIP, p.HostPort)
}
