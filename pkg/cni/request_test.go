package cni

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// wantError compares code and text; an empty text means success.
func wantError(t *testing.T, err error, code uint, text string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Errorf("got error %q, want none", err)
		}
		return
	}
	if err == nil {
		t.Errorf("got no error, want %q", text)
		return
	}
	if got := Code(err); got != code || err.Error() != text {
		t.Errorf("got  code %d: %s\nwant code %d: %s", got, err, code, text)
	}
}

// environ is a complete ADD with some variables set otherwise; "K=" unsets one.
func environ(changes ...string) []string {
	env := []string{
		"PATH=/bin", "CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_NETNS=/run/netns/c1",
		"CNI_IFNAME=eth0", "CNI_PATH=/opt/cni/bin:/usr/lib/cni",
	}
	return append(env, changes...)
}

func TestRead(t *testing.T) {
	req, err := Read(environ("CNI_ARGS=IP=10.1.0.9;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b", "CNI_NETNS_OVERRIDE=True"),
		strings.NewReader(`{"CNIVersion": "1.1.0", "name": "net", "type": "bridge"}`))
	if err != nil {
		t.Fatal(err)
	}
	if req.Command != "ADD" || req.ContainerID != "c1" || req.Netns != "/run/netns/c1" || req.IfName != "eth0" ||
		req.Network != "net" || req.CNIVersion != "1.1.0" || !req.Override {
		t.Errorf("got %+v", req)
	}
	if want := []string{"/opt/cni/bin", "/usr/lib/cni"}; !slices.Equal(req.Path, want) {
		t.Errorf("path: got %q, want %q", req.Path, want)
	}
	if req.Args["IP"] != "10.1.0.9" || req.Args.Pod() != "a/b" || !strings.HasPrefix(req.RawArgs, "IP=") {
		t.Errorf("args: got %v from %q", req.Args, req.RawArgs)
	}
}

func TestReadErrors(t *testing.T) {
	const good = `{"cniVersion": "1.1.0", "name": "net"}`
	tests := []struct {
		name, env, stdin string
		code             uint
		want             string
	}{
		{"no command", "CNI_COMMAND=", good, CodeEnv, `CNI_COMMAND: "" is none of ADD, DEL, CHECK, GC, STATUS, VERSION`},
		{"command in lower case", "CNI_COMMAND=add", good, CodeEnv, `CNI_COMMAND: "add" is none of ADD, DEL, CHECK, GC, STATUS, VERSION`},
		{"no container", "CNI_CONTAINERID=", good, CodeEnv, "CNI_CONTAINERID: required for ADD, but not set"},
		{"no namespace", "CNI_NETNS=", good, CodeEnv, "CNI_NETNS: required for ADD, but not set"},
		{"no link", "CNI_IFNAME=", good, CodeEnv, "CNI_IFNAME: required for ADD, but not set"},
		{"no path", "CNI_PATH=", good, 0, ""},
		{"bad container", "CNI_CONTAINERID=../c", good, CodeEnv, `CNI_CONTAINERID: "../c" must begin with a letter or digit and hold only letters, digits, '_', '.', '-'`},
		{"long link", "CNI_IFNAME=abcdefghijklmnop", good, CodeEnv, `CNI_IFNAME: "abcdefghijklmnop" is longer than 15 characters, the kernel's limit`},
		{"link with slash", "CNI_IFNAME=a/b", good, CodeEnv, `CNI_IFNAME: "a/b" holds a slash, colon, percent sign or white space, which no link name may`},
		{"bad arguments", "CNI_ARGS=x", good, CodeEnv, `CNI_ARGS: "x" is not of the form KEY=VALUE`},
		{"nothing on stdin", "", "", CodeDecode, "network configuration: not valid JSON: unexpected end of JSON input"},
		{"half a configuration", "", `{"name":`, CodeDecode, "network configuration: not valid JSON: unexpected end of JSON input"},
		{"a list", "", `[]`, CodeDecode, "network configuration: wants an object, but has an array"},
		{"number for a name", "", `{"name": 5}`, CodeDecode, "name: wants a string, but has a number"},
		{"too deep", "", `{"name": ` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, CodeDecode, "stdin: network configuration is nested more than 64 levels deep"},
		{"brackets in text", "", `{"cniVersion": "1.1.0", "name": "` + strings.Repeat(`\"[`, 65) + `"}`, CodeConfig, `name: "` + strings.Repeat(`\"[`, 65) + `" must begin with a letter or digit and hold only letters, digits, '_', '.', '-'`},
		{"too much on stdin", "", `{"name": "` + strings.Repeat("x", MaxStdin) + `"}`, CodeDecode, "stdin: network configuration is longer than 2097152 bytes"},
		{"no name", "", `{"cniVersion": "1.1.0"}`, CodeConfig, "name: missing, every network needs one"},
		{"bad name", "", `{"cniVersion": "1.1.0", "name": "a/b"}`, CodeConfig, `name: "a/b" must begin with a letter or digit and hold only letters, digits, '_', '.', '-'`},
		{"future version", "", `{"cniVersion": "9.0.0", "name": "net"}`, CodeVersion, `cniVersion: "9.0.0" is not supported, use one of 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0`},
		{"not a version", "", `{"cniVersion": "one", "name": "net"}`, CodeVersion, `cniVersion: "one" is not supported, use one of 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0`},
		{"early CHECK", "CNI_COMMAND=CHECK", `{"cniVersion": "0.3.1", "name": "net"}`, CodeVersion, "cniVersion: 0.3.1 does not allow CHECK, it needs at least 0.4.0"},
		{"early GC", "CNI_COMMAND=GC", `{"cniVersion": "1.0.0", "name": "net"}`, CodeVersion, "cniVersion: 1.0.0 does not allow GC, it needs at least 1.1.0"},
		{"early STATUS", "CNI_COMMAND=STATUS", `{"cniVersion": "1.0.0", "name": "net"}`, CodeVersion, "cniVersion: 1.0.0 does not allow STATUS, it needs at least 1.1.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(environ(tt.env), strings.NewReader(tt.stdin))
			wantError(t, err, tt.code, tt.want)
		})
	}
}

// TestReadNeeds: what each command can do without.
func TestReadNeeds(t *testing.T) {
	tests := []struct {
		command string
		without []string
	}{
		{"DEL", []string{"CNI_NETNS=", "CNI_PATH="}},
		// Arguments name nothing that DEL needs, and it must not fail for them.
		{"DEL", []string{"CNI_ARGS=nonsense"}},
		{"GC", []string{"CNI_NETNS=", "CNI_PATH=", "CNI_CONTAINERID=", "CNI_IFNAME="}},
		{"STATUS", []string{"CNI_NETNS=", "CNI_PATH=", "CNI_CONTAINERID=", "CNI_IFNAME="}},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			_, err := Read(environ(append(tt.without, "CNI_COMMAND="+tt.command)...), strings.NewReader(`{"cniVersion": "1.1.0", "name": "net"}`))
			if err != nil {
				t.Errorf("without %q: %v", tt.without, err)
			}
		})
	}
}

// TestReadVersion: the answer to VERSION depends on nothing that could be missing.
func TestReadVersion(t *testing.T) {
	for stdin, want := range map[string]string{
		"":                        "1.1.0",
		"nonsense":                "1.1.0",
		`{"cniVersion": "0.4.0"}`: "0.4.0",
	} {
		req, err := Read([]string{"CNI_COMMAND=VERSION"}, strings.NewReader(stdin))
		if err != nil || req.CNIVersion != want {
			t.Errorf("%q: got version %s and error %v, want %s", stdin, req.CNIVersion, err, want)
		}
	}
}

// TestReadAnswerVersion: the Request that comes with an error names a version that
// the runtime can read the error in.
func TestReadAnswerVersion(t *testing.T) {
	tests := []struct{ name, stdin, want string }{
		{"none means the oldest", `{"name": "net"}`, "0.1.0"},
		{"unreadable", `{`, "1.1.0"},
		{"unknown", `{"cniVersion": "9.0.0", "name": "net"}`, "1.1.0"},
		{"known, but the rest is wrong", `{"cniVersion": "0.3.1"}`, "0.3.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if req, _ := Read(environ(), strings.NewReader(tt.stdin)); req.CNIVersion != tt.want {
				t.Errorf("got %s, want %s", req.CNIVersion, tt.want)
			}
		})
	}
}

func TestReadBrokenPipe(t *testing.T) {
	_, err := Read(environ(), iotest.ErrReader(io.ErrUnexpectedEOF))
	wantError(t, err, CodeIO, "stdin: read network configuration: unexpected EOF")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}
