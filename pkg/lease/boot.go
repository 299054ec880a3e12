package lease

import (
	"strconv"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
)

// bootID tells this boot of the machine from all others, in 8 digits; "-" where it can't
// be read.
var bootID = sync.OnceValue(func() string {
	data, err := file.Read("/proc/sys/kernel/random/boot_id")
	if err != nil || len(data) < 8 {
		return "-"
	}
	return string(data[:8])
})

// past says whether a boot is over. It never guesses: one that is not known is not, and
// where this boot's ID can't be read none is.
func past(boot string) bool {
	now := bootID()
	return boot != "" && boot != "-" && now != "-" && boot != now
}

// bootMark is the boot's ID as the access time that marks the index: 7 digits of it, which
// are seconds below 2^31, and every file system can hold those. An access time costs no
// system call, since the verbs read and set the modification time anyway; a file of its own
// would cost an ADD three to read it (open, read, close) and three to write it.
func bootMark() time.Time {
	n, _ := strconv.ParseUint(bootID()[1:], 16, 32) // 0 where it can't be known
	return time.Unix(int64(n), 0)
}
