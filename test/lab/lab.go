// Package lab is the part of test/stage that the tests in pkg and plugins use, under its
// former name. It goes when they import test/stage.
package lab

import "github.com/bridgeport-cni/bridgeport/test/stage"

// Space is a network namespace.
type Space = stage.Space

// NewSpace, OpenSpace and MainIfRoot are those of stage.
var (
	NewSpace   = stage.NewSpace
	OpenSpace  = stage.OpenSpace
	MainIfRoot = stage.MainIfRoot
)
