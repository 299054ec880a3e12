package crash

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clock is where a room's time goes, by what it does.
type clock struct {
	kinds []string
	spent map[string]time.Duration
	count map[string]int
}

// took is called by defer with its result.
func (c *clock) took(kind string) func() {
	begin := time.Now()
	return func() {
		if c.count == nil {
			c.spent, c.count = make(map[string]time.Duration), make(map[string]int)
		}
		if c.count[kind]++; c.count[kind] == 1 {
			c.kinds = append(c.kinds, kind)
		}
		c.spent[kind] += time.Since(begin)
	}
}

func (c *clock) String() string {
	var parts []string
	for _, kind := range c.kinds {
		parts = append(parts, fmt.Sprintf("%d %s %.1f s", c.count[kind], kind, c.spent[kind].Seconds()))
	}
	return strings.Join(parts, ", ")
}

// started is when this process has.
var started = time.Now()

// lasted is how long the whole run took, and how long it kept processors busy: with other work on
// the machine the first says little.
func lasted() string {
	busy := 0.0
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			busy += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		}
	}
	return fmt.Sprintf("%.1f min, %.1f min of one processor", time.Since(started).Minutes(), busy/60)
}
