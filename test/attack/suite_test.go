// Package attack_test tries what an attacker would: each row of the threat table in
// README.md is a spec. It first shows that the attack works where the defence is not,
// with the reference plugins or with ours disarmed, and then that it fails.
package attack_test

import (
	"fmt"
	"os"
	"testing"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) {
	code, isChild := Isolate()
	if isChild {
		code = m.Run()
		fmt.Println(figures())
	}
	os.Exit(code)
}

func TestAttack(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Attack")
}
