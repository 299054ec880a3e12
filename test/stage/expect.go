package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Drift is the error code of a CHECK that found a difference, Conflict the one of
// something that is held by others.
const (
	Drift    = 103
	Conflict = 101
)

// ExpectOK wants success, and from verbs other than ADD silence.
func ExpectOK(command string, a Answer) {
	a.t.Helper()
	switch {
	case a.Exit != 0:
		a.t.Fatal(fmt.Sprintf("%s: %s%s", command, a.Stdout, a.Stderr))
	case command == "ADD" && a.Result == nil:
		a.t.Fatal(fmt.Sprintf("ADD: no result on stdout: %s", a.Stdout))
	case command != "ADD" && len(a.Stdout) > 0:
		a.t.Fatal(fmt.Sprintf("%s: stdout should be empty: %s", command, a.Stdout))
	}
}

// ExpectError wants a failure told as the specification says: one error object on
// stdout. texts are what a person needs to find in the message.
func ExpectError(a Answer, code uint, texts ...string) {
	a.t.Helper()
	wire, err := onlyError(a)
	switch {
	case err != nil:
	case wire.Code != code:
		err = fmt.Errorf("code %d, want %d", wire.Code, code)
	default:
		for _, text := range texts {
			if !strings.Contains(wire.Msg, text) {
				err = errors.Join(err, fmt.Errorf("the message lacks %q", text))
			}
		}
	}
	if err != nil {
		a.t.Fatal(fmt.Sprintf("%v\nmessage: %s\nstdout: %s\nstderr: %s", err, wire.Msg, a.Stdout, a.Stderr))
	}
}

// object is an error object on the wire.
type object struct {
	CNIVersion string `json:"cniVersion"`
	Code       uint   `json:"code"`
	Msg        string `json:"msg"`
}

// onlyError reads the error object of a failure, and wants nothing else to be there.
func onlyError(a Answer) (wire object, err error) {
	if a.Exit == 0 {
		return wire, errors.New("succeeded")
	}
	for _, text := range []string{"panic", "goroutine "} {
		if bytes.Contains(a.Stdout, []byte(text)) || bytes.Contains(a.Stderr, []byte(text)) {
			return wire, errors.New("panicked")
		}
	}
	d := json.NewDecoder(bytes.NewReader(a.Stdout))
	if err := d.Decode(&wire); err != nil {
		return wire, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return wire, errors.New("more than one object on stdout")
	}
	if wire.CNIVersion == "" || wire.Msg == "" || strings.Contains(wire.Msg, "\n") {
		return wire, errors.New("the error object lacks cniVersion or msg, or msg has several lines")
	}
	return wire, nil
}

// Serve answers on both families until the test ends.
func Serve(s *Space, protocol string, number uint16) (both []*Server) {
	s.t.Helper()
	for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		server, err := s.Serve(protocol, netip.AddrPortFrom(any, number).String())
		must(s.t, err)
		s.t.Cleanup(func() { _ = server.Close() }) // the test may have closed it
		both = append(both, server)
	}
	return both
}

// ExpectSeen is Seen, which must work.
func ExpectSeen(from *Space, protocol, addr, port string, as ...string) {
	from.t.Helper()
	must(from.t, from.Seen(protocol, addr, port, as...))
}

// Reaches says whether a server at the port answers.
func Reaches(from *Space, protocol, host, port string) bool {
	_, err := from.Ask(protocol, net.JoinHostPort(host, port), Haste)
	return err == nil
}

// ExpectRefused wants no answer.
func ExpectRefused(from *Space, protocol, addr, port string) {
	from.t.Helper()
	if seen, err := from.Ask(protocol, net.JoinHostPort(addr, port), Haste); err == nil {
		from.t.Fatal(fmt.Sprintf("the server answered %q", seen))
	}
}

// ExpectPing wants each address to answer.
func ExpectPing(from *Space, addrs ...string) {
	from.t.Helper()
	for _, addr := range addrs {
		_, err := from.Ping(addr, Patience)
		must(from.t, err)
	}
}

// ExpectSilence wants no answer to a ping.
func ExpectSilence(from *Space, addr string) {
	from.t.Helper()
	if rtt, err := from.Ping(addr, Haste); err == nil {
		from.t.Fatal(fmt.Sprintf("%s answered in %v", addr, rtt))
	}
}
