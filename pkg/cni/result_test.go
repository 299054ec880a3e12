package cni

import (
	"encoding/json"
	"net"
	"reflect"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// TestResultObject: nothing that a result may have is left out, and all of it is as the
// library writes it; of a later library, too.
func TestResultObject(t *testing.T) {
	full := new(current.Result)
	fillAll(t, reflect.ValueOf(full).Elem())
	full.CNIVersion, full.Interfaces[0].Name, full.DNS.Domain = version.Current(), "<eth\"0>\u2028", "a.b&é"
	for name, res := range map[string]*current.Result{"full": full, "empty": {}, "dual stack": dual()} {
		for _, v := range version.All.SupportedVersions() {
			if newForm(v) {
				wantLibrary(t, name, res, v)
			}
		}
	}
}

// wantLibrary compares Encode with the library.
func wantLibrary(t *testing.T, name string, res *current.Result, v string) {
	t.Helper()
	if v == "1.0.0" {
		res = withoutMTU(res)
	}
	old, err := res.GetAsVersion(v)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(old, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	have, err := Encode(res, v)
	if err != nil || string(have) != string(want)+"\n" {
		t.Errorf("%s, %s: got %s, %v, want %s", name, v, have, err, want)
	}
}

// fillAll sets all fields to something.
func fillAll(t *testing.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *net.IPNet:
		*x = cidr("10.1.2.0/24")
		return
	case *net.IP:
		*x = net.IPv4(10, 1, 2, 1)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillAll(t, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillAll(t, v.Index(0))
		fillAll(t, v.Index(1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(t, v.Elem())
	case reflect.String:
		v.SetString("text")
	case reflect.Int:
		v.SetInt(7)
	default:
		t.Fatalf("results have a %s now", v.Type())
	}
}
