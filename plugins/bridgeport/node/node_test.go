package node

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// diverting is a rule that compares protocol and port, as nft writes it, and redirects.
func diverting(protocol byte) *nftables.Rule {
	return &nftables.Rule{Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Register: 1, Data: []byte{protocol}},
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: 1}, &expr.Cmp{Register: 1, Data: []byte{0x1f, 0x90}},
		&expr.Redir{},
	}}
}

func TestDivertsEachProtocol(t *testing.T) {
	sctp := make(xt.Unknown, 8)
	binary.NativeEndian.PutUint16(sctp, 8080)
	binary.NativeEndian.PutUint16(sctp[2:], 8080)
	match := func(name string, info xt.InfoAny) *nftables.Rule {
		return &nftables.Rule{Exprs: []expr.Any{&expr.Match{Name: name, Info: info}, &expr.Target{Name: "DNAT"}}}
	}
	one := [2]uint16{8080, 8080}
	c := Chain{rules: []*nftables.Rule{
		diverting(unix.IPPROTO_TCP), diverting(unix.IPPROTO_UDP), diverting(unix.IPPROTO_SCTP),
		match("tcp", &xt.Tcp{DstPorts: one}), match("udp", &xt.Udp{DstPorts: one}), match("sctp", &sctp),
	}}
	if got, want := c.Diverts(), []string{"8080/tcp", "8080/udp", "8080/sctp", "8080/tcp", "8080/udp", "8080/sctp"}; !slices.Equal(got, want) {
		t.Errorf("diverts %v, want %v", got, want)
	}
}

// The sockets of one list read the processes once: what is closed after the first question has its holder still.
func TestProcessesAreReadOnce(t *testing.T) {
	var listeners []net.Listener
	for range 2 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	list := Listeners()
	for _, l := range listeners {
		i := slices.IndexFunc(list, func(s Socket) bool { return s.Addr.String() == l.Addr().String() })
		if i < 0 {
			t.Fatalf("%s is not in the list", l.Addr())
		}
		name, err := os.ReadFile("/proc/self/comm")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := list[i].ProcessOf()+"\n", fmt.Sprintf("%s[%d]\n", name[:len(name)-1], os.Getpid()); got != want {
			t.Errorf("%s: %q, want %q", l.Addr(), got, want)
		}
		for _, l := range listeners {
			_ = l.Close() // twice is an error
		}
	}
	if got := (Socket{holders: holders}).ProcessOf(); got != "a process" {
		t.Errorf("nobody's socket: %q", got)
	}
}
