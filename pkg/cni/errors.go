package cni

import (
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"
)

// Error codes: below 100 the specification's (CNI 1.1.0, section "Error"), from 100 on ours.
const (
	CodeVersion    = types.ErrIncompatibleCNIVersion
	CodeField      = types.ErrUnsupportedField
	CodeEnv        = types.ErrInvalidEnvironmentVariables
	CodeIO         = types.ErrIOFailure
	CodeDecode     = types.ErrDecodingFailure
	CodeConfig     = types.ErrInvalidNetworkConfig
	CodeNetns      = types.ErrInvalidNetNS
	CodeTryLater   = types.ErrTryAgainLater
	CodeNotReady   = types.ErrPluginNotAvailable
	CodeLimited    = types.ErrLimitedConnectivity
	CodeKernel     = 100 // the kernel refused a change that the configuration allows
	CodeConflict   = 101 // a name, address or port is held by something else
	CodeExhausted  = 102 // the address pool has no free address
	CodeDrift      = 103 // CHECK found a difference between the plan and the kernel
	CodeIPAM       = 104 // the IPAM plugin failed or answered nonsense
	CodeUnexpected = types.ErrInternal
)

// Error is a failure with the code that the runtime sees. Code 0 never occurs.
type Error struct {
	Code uint
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a code; the rest is as fmt.Errorf.
func Errorf(code uint, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// WithCode attaches a code to err, unless err carries one already. nil stays nil.
func WithCode(code uint, err error) error {
	var coded *Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return &Error{Code: code, Err: err}
}

// Code is the code that err carries, CodeUnexpected if none.
func Code(err error) uint {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	var wire *types.Error
	if errors.As(err, &wire) && wire.Code != 0 {
		return wire.Code
	}
	return CodeUnexpected
}
