package cni

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
	"github.com/containernetworking/cni/pkg/version"
)

// verbs in a fixed order, for a number to choose one.
var verbs = []string{"ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION", "NONSENSE", ""}

// FuzzRead: whatever a runtime sets and sends, an accepted request has valid names, and
// a refused one an error with a code, on one line, in a version that it can read.
func FuzzRead(f *testing.F) {
	deep := strings.Repeat(`{"a":[`, 40) + strings.Repeat(`]}`, 40)
	for i := range verbs {
		for _, stdin := range []string{``, `{}`, `{"cniVersion":"1.1.0","name":"net"}`, `{"CNIVERSION":"0.4.0","Name":"n"}`, `{"name":5}`, deep, `"\"[[["`} {
			f.Add(uint8(i), "c1", "eth0", "/run/netns/c1", "IgnoreUnknown=1;A=b", []byte(stdin))
		}
		f.Add(uint8(i), "../x", "eth%d", "", "K8S_POD_NAME=\x00", []byte(`{"name":"net","cniVersion":"9"}`))
	}
	f.Fuzz(func(t *testing.T, verb uint8, id, ifName, netns, args string, stdin []byte) {
		defer limit.Cost(t)()
		req, err := Read([]string{
			"CNI_COMMAND=" + verbs[int(verb)%len(verbs)], "CNI_CONTAINERID=" + id, "CNI_IFNAME=" + ifName,
			"CNI_NETNS=" + netns, "CNI_ARGS=" + args, "CNI_PATH=/opt/cni/bin",
		}, bytes.NewReader(stdin))
		if err == nil {
			if req.Command != "VERSION" && (!ValidName(req.Network) || id != "" && !ValidName(req.ContainerID)) {
				t.Errorf("accepted network %q, container %q", req.Network, req.ContainerID)
			}
			return
		}
		var coded *Error
		if !errors.As(err, &coded) || coded.Code == 0 {
			t.Errorf("no code: %v", err)
		}
		var out bytes.Buffer
		writeError(&out, req.CNIVersion, err)
		if !json.Valid(out.Bytes()) || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
			t.Errorf("not one line of JSON: %q", out.Bytes())
		}
	})
}

// FuzzPrevResult: a result of any version is read, or refused with a code; what was read
// can be told again in each version, or refused.
func FuzzPrevResult(f *testing.F) {
	versions := version.All.SupportedVersions()
	files, err := filepath.Glob("testdata/result-*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	samples := [][]byte{[]byte(`{"ips":[{"version":"4","address":"10.1.0.2/24"}]}`), []byte(`{"ip4":{"ip":"10.1.0.2/24"}}`), []byte(`{"ips":[null]}`), []byte(`null`), []byte(`{"cniVersion":7}`)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		samples = append(samples, text)
	}
	for i := range versions {
		for _, s := range samples {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, prev []byte) {
		v := versions[int(n)%len(versions)]
		defer limit.Cost(t)()
		config := slices.Concat([]byte(`{"cniVersion":"`+v+`","name":"net","prevResult":`), prev, []byte(`}`))
		res, err := (&Request{Command: "CHECK", Config: config, CNIVersion: v}).Prev()
		if err != nil {
			if Code(err) == 0 {
				t.Errorf("no code: %v", err)
			}
			return
		}
		// Some forms are read without the library; they mean the same to it.
		own, raw := versioned(t, prev, v)
		theirs, err := create.Create(own, raw)
		if err != nil {
			t.Fatalf("%s: read, but the library says %v", own, err)
		}
		if want, err := current.NewResultFromResult(theirs); err != nil || !reflect.DeepEqual(res, want) {
			t.Errorf("%s: got %+v, want %+v, %v", own, res, want, err)
		}
		for _, other := range versions {
			if _, err := Encode(res, other); err != nil && Code(err) == 0 {
				t.Errorf("%s: no code: %v", other, err)
			}
			if newForm(other) {
				wantLibrary(t, "fuzzed", res, other)
			}
		}
	})
}

// versioned makes sure that the result names its version, for the library.
func versioned(t *testing.T, raw []byte, version string) (string, []byte) {
	t.Helper()
	var own struct {
		CNIVersion string `json:"cniVersion"`
	}
	if json.Unmarshal(raw, &own); own.CNIVersion != "" {
		return own.CNIVersion, raw
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		t.Fatal(err)
	}
	parts["cniVersion"], _ = json.Marshal(version)
	raw, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return version, raw
}
