package label

import (
	"slices"
	"strings"
	"testing"
)

const tag = "482c2e79-fca877ccd11"

// TestParse: the names, however much of the label is left.
func TestParse(t *testing.T) {
	none := Names{Count: -1}
	for text, want := range map[string]Names{
		"":                                 none,
		"mine net/c1/eth0":                 none,
		tag:                                {Tag: tag, Count: -1},
		tag + " net/c1/eth0":               {Tag: tag, Count: -1, Network: "net", Container: "c1", IfName: "eth0"},
		tag + " 6 net/c1/eth0":             {tag, 6, "net", "c1", "eth0", "", ""},
		tag + " x net/c1/eth0":             {Tag: tag, Count: -1, Network: "net", Container: "c1", IfName: "eth0", heirs: "x"},
		tag + " net/c1/et":                 {tag, -1, "net", "c1", "et", "", ""},
		tag + " net/c1/":                   {tag, -1, "net", "c1", "", "", ""},
		tag + " net/c1":                    {Tag: tag, Count: -1},
		tag + " net/c1/eth0 pod shop/web":  {tag, -1, "net", "c1", "eth0", "shop/web", ""},
		tag + " net/c1/eth0 pods shop/web": {Tag: tag, Count: -1, Network: "net", Container: "c1", IfName: "eth0"},
	} {
		if got, ok := Parse(text); got != want || ok != (want.Tag != "") {
			t.Errorf("%q: got %+v, %t", text, got, ok)
		}
	}
}

// TestSameContainer: a container is known by the whole of its ID alone.
func TestSameContainer(t *testing.T) {
	whole, other := tag+" net/c1/eth0", "482c2e79-bbbbbbbbbbb net2/c1/eth1"
	for text, want := range map[string]bool{
		other: true, "482c2e79-bbbbbbbbbbb net2/c1/": true, "482c2e79-bbbbbbbbbbb net2/c1": false,
		"482c2e79-bbbbbbbbbbb net2/c12/eth0": false, "482c2e79-bbbbbbbbbbb": false, "": false,
	} {
		if got := SameContainer(whole, text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
	if SameContainer("", "") || SameContainer("x", "x") {
		t.Error("no container is one")
	}
}

// TestTag: what is a tag, and what is in it.
func TestTag(t *testing.T) {
	if !IsTag(tag) || LinkOf(tag) != "vethfca877ccd11" || !OfNetwork(tag, "482c2e79") || OfNetwork(tag, "482c2e7") {
		t.Errorf("got %t, %s", IsTag(tag), LinkOf(tag))
	}
	for _, word := range []string{"", "-", "bridgeport", tag + "0", tag[1:], "482c2e7G-fca877ccd11"} {
		if IsTag(word) {
			t.Errorf("%q is a tag", word)
		}
	}
	if !Same(tag, tag) || !Same(tag+" x", tag) || Same(tag+"x", tag) {
		t.Error("whose label it is")
	}
}

// TestHeirs: a label has room for the container's other networks; the network's name makes way.
func TestHeirs(t *testing.T) {
	const a, b, c = "0ade494e-6d4de09b9c9", "1ade494e-6d4de09b9c9", "2ade494e-6d4de09b9c9"
	id := strings.Repeat("c", 64)
	tests := []struct{ name, text, heir, want string }{
		{"the first", a + " net/c1/eth0", b, a + " " + b + " net/c1/eth0"},
		{"the second", a + " " + b + " net/c1/eth0", c, a + " " + b + "," + c + " net/c1/eth0"},
		{"once more", a + " " + b + " net/c1/eth0", b, a + " " + b + " net/c1/eth0"},
		{"a long name of the network", a + " " + strings.Repeat("n", 40) + "/" + id + "/eth0", b, a + " " + b + " " + strings.Repeat("n", 15) + "/" + id + "/eth0"},
		{"no room", a + " " + b + " net/" + id + "/eth0", c, a + " " + b + " net/" + id + "/eth0"},
		{"without names", a, b, a},
	}
	for _, tt := range tests {
		got := WithHeir(tt.text, tt.heir, 127)
		if got != tt.want || len(got) > 127 {
			t.Errorf("%s: got  %s\nwant %s", tt.name, got, tt.want)
		}
		if n, _ := Parse(got); n.Tag != a || tt.name != "without names" && !SameContainer(got, tt.text) {
			t.Errorf("%s: %s is of somebody else: %+v", tt.name, got, n)
		}
	}
	n, _ := Parse(a + " " + b + "," + c + " net/c1/eth0")
	if !slices.Equal(n.Heirs(), []string{b, c}) || n.Count != -1 || n.Network != "net" {
		t.Errorf("got %+v", n)
	}
	if got, want := Inherited(a+" "+b+","+c+" net/c1/eth0", b+" lan/c1/eth1", 127), b+" "+c+" lan/c1/eth1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestByHand: the mark is read back, beside heirs and a cut name, and is no heir's.
func TestByHand(t *testing.T) {
	const heir = "0ade494e-6d4de09b9c9"
	text := ByHand(tag + " net/c1/eth0 pod shop/web")
	n, _ := Parse(text)
	if text != tag+" by-hand net/c1/eth0 pod shop/web" || len(text) != len(tag+" net/c1/eth0 pod shop/web")+ByHandLength || !n.ByHand() || n.Container != "c1" || n.Pod != "shop/web" || len(n.Heirs()) > 0 {
		t.Errorf("%s: %+v", text, n)
	}
	with := WithHeir(text, heir, 127)
	n, _ = Parse(with)
	if with != tag+" by-hand,"+heir+" net/c1/eth0" || !n.ByHand() || !slices.Equal(n.Heirs(), []string{heir}) || !Same(with, tag) {
		t.Errorf("%s: %+v", with, n)
	}
	if got := Inherited(with, heir+" lan/c1/eth1", 127); got != heir+" lan/c1/eth1" {
		t.Errorf("the heir has it by its configuration: %s", got)
	}
	if got, want := Describe(text), "container c1 (network net, interface eth0, pod shop/web, added by hand)"; got != want {
		t.Errorf("got %s", got)
	}
	if n, _ := Parse(ByHand(tag)); !n.ByHand() {
		t.Error("a label that is a tag alone")
	}
	for text, want := range map[string]string{tag + " 3 net/c1/eth0 pod a/b": tag + " 12 net/c1/eth0 pod a/b", tag + " 3": tag + " 12"} {
		if got := Counting(text, 12); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
}
