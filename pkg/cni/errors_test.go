package cni

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func TestCode(t *testing.T) {
	plain := errors.New("plain")
	coded := Errorf(CodeConflict, "port: %w", fs.ErrExist)
	tests := []struct {
		name string
		in   error
		code uint
		text string
	}{
		{"none", plain, CodeUnexpected, "plain"},
		{"coded", coded, CodeConflict, "port: file already exists"},
		{"wrapped", fmt.Errorf("add: %w", coded), CodeConflict, "add: port: file already exists"},
		{"joined, the first counts", errors.Join(coded, Errorf(CodeIO, "undo")), CodeConflict, "port: file already exists\nundo"},
		{"joined with a plain one", errors.Join(plain, coded), CodeConflict, "plain\nport: file already exists"},
		{"attached", WithCode(CodeKernel, plain), CodeKernel, "plain"},
		{"attached to wrapped", WithCode(CodeKernel, fmt.Errorf("add: %w", coded)), CodeConflict, "add: port: file already exists"},
		{"a delegate's", &types.Error{Code: 11, Msg: "later"}, 11, "later"},
		{"a delegate's without code", &types.Error{Msg: "?"}, CodeUnexpected, "?"},
		{"ours before a delegate's", WithCode(CodeIPAM, &types.Error{Code: 11, Msg: "later"}), CodeIPAM, "later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Code(tt.in); got != tt.code || tt.in.Error() != tt.text {
				t.Errorf("got  %d %q\nwant %d %q", got, tt.in, tt.code, tt.text)
			}
		})
	}
	if !errors.Is(coded, fs.ErrExist) {
		t.Error("the cause of a coded error is lost")
	}
	if WithCode(CodeKernel, nil) != nil {
		t.Error("a code makes an error of nil")
	}
}

// TestWriteError: one line of JSON with the version (specification, section
// "Error"), which the library's own type lacks.
func TestWriteError(t *testing.T) {
	tests := []struct {
		name string
		in   error
		want string
	}{
		{"coded", Errorf(CodeConfig, "mtu: %d is too small", 1), `{"cniVersion":"1.0.0","code":7,"msg":"mtu: 1 is too small"}`},
		{"joined becomes one line", errors.Join(Errorf(CodeIO, "a"), errors.New("b")), `{"cniVersion":"1.0.0","code":5,"msg":"a; b"}`},
		{"without code", errors.New(`say "no"`), `{"cniVersion":"1.0.0","code":999,"msg":"say \"no\""}`},
		{"a delegate's details", &types.Error{Code: 11, Msg: "busy", Details: "by p1"}, `{"cniVersion":"1.0.0","code":11,"msg":"busy","details":"by p1"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			writeError(&out, "1.0.0", tt.in)
			if got := out.String(); got != tt.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
