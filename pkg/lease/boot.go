package lease

import (
	"strconv"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
)

// bootID is 8 digits that differ from boot to boot of the machine; "-" where the kernel's
// can't be read.
var bootID = sync.OnceValue(func() string {
	data, err := file.Read("/proc/sys/kernel/random/boot_id")
	if err != nil || len(data) < 8 {
		return "-"
	}
	return string(data[:8])
})

// past says whether a boot is over. A boot that is not known is not over. Where this boot's
// ID can't be read none is.
func past(boot string) bool {
	now := bootID()
	return boot != "" && boot != "-" && now != "-" && boot != now
}

// bootMark is the boot's ID as the index's access time: 7 of its digits, as seconds below
// 2^31, which every file system can hold. An access time costs no system call, since the
// verbs read and set the modification time anyway. A file would cost an ADD six.
func bootMark() time.Time {
	n, _ := strconv.ParseUint(bootID()[1:], 16, 32) // 0 where the ID is not known
	return time.Unix(int64(n), 0)
}
