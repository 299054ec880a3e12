// Package label reads whose something is from an nf_tables comment or the alias of a link.
//
//	TAG[ COUNT][ by-hand,HEIR,HEIR] NETWORK/CONTAINER/IFNAME[ pod NAMESPACE/NAME]
//
// The text may be cut at its end. So the tag alone says whose something is. The names are for people.
package label

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names is what a label says.
type Names struct {
	Tag   string
	Count int // of a holder mark: how many elements its owner has; -1 in other labels
	// All of them or none. Network and IfName may be cut, Container is whole.
	Network, Container, IfName string
	Pod                        string // namespace/name; "" without one; it may be cut
	// heirs are tags, with commas, of the container's attachments to other networks, which publish the
	// port, too; before them stands byHand in the label of a port that was added by hand.
	heirs string
}

// Parse reads a label; false where the text begins with no tag.
func Parse(text string) (Names, bool) {
	words := strings.Fields(text)
	if len(words) == 0 || !IsTag(words[0]) {
		return Names{Count: -1}, false
	}
	n := Names{Tag: words[0], Count: -1}
	rest := words[1:]
	if len(rest) > 0 && !strings.Contains(rest[0], "/") {
		if count, err := strconv.ParseUint(rest[0], 10, 31); err == nil {
			n.Count = int(count)
		} else {
			n.heirs = rest[0]
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		if parts := strings.Split(rest[0], "/"); len(parts) == 3 {
			n.Network, n.Container, n.IfName = parts[0], parts[1], parts[2]
		}
	}
	if len(rest) > 2 && rest[1] == "pod" {
		n.Pod = rest[2]
	}
	return n, true
}

// Tag is the first word of a label. IsTag says whether the word is a tag.
func Tag(text string) string {
	tag, _, _ := strings.Cut(text, " ")
	return tag
}

// Same says whether a label begins with the tag.
func Same(text, tag string) bool { return Tag(text) == tag }

// IsTag says whether the word is a tag: 8 digits of the network, '-', and 11 of the link's name.
func IsTag(word string) bool {
	network, rest, ok := strings.Cut(word, "-")
	return ok && len(network) == 8 && len(rest) == 11 && strings.Trim(network+rest, "0123456789abcdef") == ""
}

// OfNetwork says whether the tag is of an owner in the network that networkTag stands for.
func OfNetwork(tag, networkTag string) bool {
	return IsTag(tag) && strings.HasPrefix(tag, networkTag+"-")
}

// LinkOf is the host's link of the owner with the tag.
func LinkOf(tag string) string {
	_, digits, _ := strings.Cut(tag, "-")
	return "veth" + digits
}

// SameContainer says whether two labels are of one container, on two networks. A runtime gives each
// of these networks the same ports, and the first with a port keeps it until it goes. A label that is cut within
// the container's ID is of no container.
func SameContainer(a, b string) bool {
	x, _ := Parse(a)
	y, _ := Parse(b)
	return x.Container != "" && x.Container == y.Container
}

// byHand marks what somebody has added to an attachment that its configuration does not have.
const byHand = "by-hand"

// ByHand is the label with the mark. The mark stands before what may be cut.
func ByHand(text string) string {
	tag, names, _ := strings.Cut(text, " ")
	return strings.TrimSpace(tag + " " + byHand + " " + names)
}

// ByHandLength is how much longer ByHand makes a label.
const ByHandLength = len(byHand) + 1

// ByHand says whether the label has the mark.
func (n Names) ByHand() bool { return slices.Contains(strings.Split(n.heirs, ","), byHand) }

// Counting is a holder mark's label with another count.
func Counting(text string, count int) string {
	words := strings.SplitN(text, " ", 3)
	return strings.Join(append([]string{words[0], strconv.Itoa(count)}, words[2:]...), " ")
}

// Heirs are the tags of the container's attachments to other networks, which publish the port, too.
func (n Names) Heirs() []string {
	return slices.DeleteFunc(strings.Split(n.heirs, ","), func(tag string) bool { return !IsTag(tag) })
}

// WithHeir is a label with one more heir. The network's name is cut where the label would be longer
// than limit bytes; where that is not enough the label stays as it is.
func WithHeir(text, tag string, limit int) string {
	n, _ := Parse(text)
	if n.Container == "" || slices.Contains(n.Heirs(), tag) {
		return text
	}
	words := append(n.Heirs(), tag)
	if n.ByHand() {
		words = append([]string{byHand}, words...)
	}
	head, rest := n.Tag+" "+strings.Join(words, ",")+" ", "/"+n.Container+"/"+n.IfName
	room := limit - len(head+rest)
	if room <= 0 {
		return text
	}
	return head + n.Network[:min(len(n.Network), room)] + rest
}

// Inherited is the label of a port that the heir takes over, whose link has the alias. The other
// heirs are the heir's.
func Inherited(text, alias string, limit int) string {
	n, _ := Parse(text)
	label := alias[:min(len(alias), limit)]
	for _, tag := range n.Heirs() {
		if tag != Tag(alias) {
			label = WithHeir(label, tag, limit)
		}
	}
	return label
}

// Describe says in words whose a label is; the label itself where it has no names.
func Describe(text string) string {
	n, _ := Parse(text)
	if n.IfName == "" {
		return text
	}
	words := fmt.Sprintf("container %s (network %s, interface %s", n.Container, n.Network, n.IfName)
	if n.Pod != "" {
		words += ", pod " + n.Pod
	}
	if n.ByHand() {
		words += ", added by hand"
	}
	return words + ")"
}
