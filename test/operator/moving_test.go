package operator_test

import (
	"fmt"
	"sync"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a node that moves", func() {
	It("is well for doctor, ls and gc", func() {
		n := three()
		stop := make(chan struct{})
		var runs sync.WaitGroup
		runs.Go(func() {
			defer GinkgoRecover()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				space := n.Space(fmt.Sprint("pod", i))
				b := &stage.Box{Space: space, ID: fmt.Sprint("pod", i)}
				b.Add(n.Net, stage.Port("tcp", 9000, 80))
				b.Del(n.Net, stage.Port("tcp", 9000, 80))
				Expect(space.Close()).To(Succeed())
			}
		})
		for range 8 {
			n.expectWell()
			for _, state := range []string{"drift", "orphan", "unsure"} {
				Expect(n.ok("ls", "--state", state)).To(ContainSubstring("no attachments"))
			}
			Expect(n.ok("gc", "--dry-run", "--grace", "0s")).To(Equal("nothing is dead\n"))
		}
		close(stop)
		runs.Wait()
	})
})
