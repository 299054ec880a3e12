package publish

import (
	"fmt"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
)

// TestBackend: what is for iptables only chooses iptables.
func TestBackend(t *testing.T) {
	tests := []struct{ config, want string }{
		{`{}`, "nftables"},
		{`{"backend": "nftables"}`, "nftables"},
		{`{"backend": "nftables", "conditionsV4": [], "conditionsV6": null, "markMasqBit": null}`, "nftables"},
		{`{"backend": "iptables"}`, "iptables bit 13 chain \"\" conditions [] []"},
		{`{"backend": "iptables", "markMasqBit": 31}`, "iptables bit 31 chain \"\" conditions [] []"},
		{`{"markMasqBit": 0}`, "nftables mark 0x1"},
		{`{"markMasqBit": 31}`, "nftables mark 0x80000000"},
		{`{"externalSetMarkChain": "KUBE-MARK-MASQ"}`, "iptables bit 13 chain \"KUBE-MARK-MASQ\" conditions [] []"},
		{`{"conditionsV4": ["!", "-s", "192.0.2.0/24"]}`, "nftables V4 !source 192.0.2.0/24"},
		{`{"backend": "iptables", "conditionsV4": ["!", "-s", "192.0.2.0/24"]}`, "iptables bit 13 chain \"\" conditions [! -s 192.0.2.0/24] []"},
		{`{"conditionsV4": ["-s", "192.0.2.0/24"], "conditionsV6": ["-m", "tos", "--tos", "8"]}`, "iptables bit 13 chain \"\" conditions [-s 192.0.2.0/24] [-m tos --tos 8]"},
		{`{"markMasqBit": 5, "conditionsV4": ["-m", "tos", "--tos", "8"]}`, "iptables bit 5 chain \"\" conditions [-m tos --tos 8] []"},
		{`{"conditionsV6": ["-m", "comment", "--comment", "a b"]}`, "iptables bit 13 chain \"\" conditions [] [-m comment --comment a b]"},
	}
	for _, tt := range tests {
		t.Run(tt.config, func(t *testing.T) {
			c, err := parse(request(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			got := "nftables" + conditionsText(" V4", c.Conditions4) + conditionsText(" V6", c.Conditions6)
			if c.MarkBits != 0 {
				got += fmt.Sprintf(" mark %#x", c.MarkBits)
			}
			if c.IPTables {
				r := c.Rules
				got = fmt.Sprintf("iptables bit %d chain %q conditions %v %v", r.MarkBit, r.MarkChain, r.Conditions4, r.Conditions6)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestBackendErrors(t *testing.T) {
	const use = ` is not one that the nftables backend knows: use iptables words and "backend": "iptables"`
	tests := []struct {
		config string
		code   uint
		want   string
	}{
		{`{"backend": "ebpf"}`, cni.CodeConfig, `backend: "ebpf" is neither "nftables" nor "iptables"`},
		{`{"backend": ""}`, cni.CodeConfig, `backend: "" is neither "nftables" nor "iptables"`},
		{`{"backend": "nftables", "externalSetMarkChain": "X"}`, cni.CodeConfig, `externalSetMarkChain: "X" is a chain of iptables, which rules of nftables can't use: remove it or set "backend": "iptables"`},
		{`{"backend": "nftables", "conditionsV4": ["-m", "tos", "--tos", "8"]}`, cni.CodeField, `conditionsV4: condition "-m tos"` + use},
		{`{"backend": "nftables", "conditionsV6": ["!", "-p", "tcp"]}`, cni.CodeField, `conditionsV6: condition "-p"` + use},
		{`{"conditionsV4": ["iif", "eth0"]}`, cni.CodeField, `conditionsV4: condition "iif"` + use},
		{`{"conditionsV6": ["iif", "eth0"]}`, cni.CodeField, `conditionsV6: condition "iif"` + use},
		{`{"backend": "iptables", "conditionsV4": ["iifname", "eth0"]}`, cni.CodeField, `conditionsV4: "iifname": the iptables backend takes iptables words: use them, or leave "backend" out`},
		{`{"hostPortCheck": "no"}`, cni.CodeConfig, `hostPortCheck: "no" is none of "warn", "strict", "off"`},
		{`{"markMasqBit": 32}`, cni.CodeConfig, "markMasqBit: 32 is outside 0-31"},
		{`{"markMasqBit": -1}`, cni.CodeConfig, "markMasqBit: -1 is outside 0-31"},
		{`{"markMasqBit": 1, "externalSetMarkChain": "X"}`, cni.CodeConfig, "externalSetMarkChain: cannot stand together with markMasqBit: remove one of them"},
		{`{"externalSetMarkChain": ""}`, cni.CodeConfig, `externalSetMarkChain: "" is not a chain's name`},
		{`{"externalSetMarkChain": "X -j ACCEPT"}`, cni.CodeConfig, `externalSetMarkChain: "X -j ACCEPT" is not a chain's name`},
		{`{"externalSetMarkChain": "A-CHAIN-WHOSE-NAME-HAS-29-CHR"}`, cni.CodeConfig, `externalSetMarkChain: "A-CHAIN-WHOSE-NAME-HAS-29-CHR" is not a chain's name`},
		{`{"conditionsV4": ["-s", "1.2.3.4\n-A INPUT -j ACCEPT"]}`, cni.CodeConfig, `conditionsV4: "1.2.3.4\n-A INPUT -j ACCEPT" holds more than printable characters`},
		{`{"conditionsV4": ["-s", ""]}`, cni.CodeConfig, `conditionsV4: "" holds more than printable characters`},
		{`{"conditionsV4": ["-s", "1.2.3.4", "-j", "ACCEPT"]}`, cni.CodeConfig, `conditionsV4: "-j" is no condition`},
		{`{"conditionsV6": ["-s", "::1", "--jump=ACCEPT"]}`, cni.CodeConfig, `conditionsV6: "--jump=ACCEPT" is no condition`},
		// getopt(3) takes these, too.
		{`{"conditionsV4": ["-s", "1.2.3.4", "-jACCEPT"]}`, cni.CodeConfig, `conditionsV4: "-jACCEPT" is no condition`},
		{`{"conditionsV4": ["-s", "1.2.3.4", "--jum", "ACCEPT"]}`, cni.CodeConfig, `conditionsV4: "--jum" is no condition`},
	}
	for _, tt := range tests {
		t.Run(tt.config, func(t *testing.T) {
			_, err := parse(request(tt.config))
			wantError(t, err, tt.code, tt.want)
		})
	}
}

// TestPublish: what bridge publishes itself is what portmap would.
func TestPublish(t *testing.T) {
	const config = `{"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 8080}]}}`
	addrs := prefixes("10.1.0.2/24 fd00::2/64")
	pub, err := Parse(request(config))
	if err != nil {
		t.Fatal(err)
	}
	link := link.Towards{Link: "cni0", Bridge: true}
	plan, err := pub.PlanBehind(addrs, link)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parse(request(config))
	if err != nil {
		t.Fatal(err)
	}
	in := inputs{conf: c, owner: pub.owner, addrs: addrs, link4: link, link6: link}
	if in.ports, err = c.ports(addrs); err != nil {
		t.Fatal(err)
	}
	if plan.String() != in.plan().String() {
		t.Errorf("got:\n%s\nwant:\n%s", plan, in.plan())
	}
	// On layer 2 there is nowhere to lead to, and without mappings nothing to do.
	for _, config := range []string{config, `{}`} {
		pub, err := Parse(request(config))
		if err != nil {
			t.Fatal(err)
		}
		if plan, err := pub.PlanBehind(nil, link); err != nil || plan.String() != "" || len(plan.Own) != 0 {
			t.Errorf("%s: got %s, %v", config, plan, err)
		}
	}
}
