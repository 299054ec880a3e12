package scenario_test

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// trace runs one verb of a plugin under strace and returns the lines it wrote.
func trace(s *Stage, b *Box, command string, c Conf) (lines []string, stdout []byte) {
	GinkgoHelper()
	text, stdout := s.Strace(s.Calling(b, "eth0", command, c), "-e", "trace=execve,nanosleep,clock_nanosleep,epoll_pwait,epoll_wait,ppoll,poll,select,pselect6")
	return strings.Split(strings.TrimSpace(text), "\n"), stdout
}

var (
	executed = regexp.MustCompile(`execve\("([^"]+)"`)
	// tv_sec and tv_nsec of a sleep.
	slept = regexp.MustCompile(`^(\d+) +(?:clock_)?nanosleep\(.*\{tv_sec=(\d+), tv_nsec=(\d+)\}`)
	// A poll with a time limit in milliseconds that brought nothing. strace splits a
	// call in two lines when another thread comes between.
	polled = regexp.MustCompile(`(?:epoll_p?wait|poll)(?:\(| resumed>).*, [1-9]\d*(?:, NULL, \d+)?\) += 0`)
)

// sleeps picks the waits of one millisecond and more that only time ended. Go's
// monitor thread (runtime.sysmon) sleeps 20 µs and, while nothing happens, up to 10
// ms: a thread that began with 20 µs is that one. time.Sleep shows as a poll that
// brought nothing.
func sleeps(lines []string) (long []string) {
	monitor := make(map[string]bool)
	seen := make(map[string]bool)
	for _, line := range lines {
		if polled.MatchString(line) {
			long = append(long, line)
		}
		m := slept.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		sec, nsec := number(m[2]), number(m[3])
		if !seen[m[1]] {
			seen[m[1]] = true
			monitor[m[1]] = sec == 0 && nsec <= 20_000
		}
		if !monitor[m[1]] && (sec > 0 || nsec >= 1_000_000) {
			long = append(long, line)
		}
	}
	return long
}

func number(digits string) int {
	GinkgoHelper()
	n, err := strconv.Atoi(digits)
	Expect(err).NotTo(HaveOccurred())
	return n
}

var _ = Describe("under strace", func() {
	var (
		s *Stage
		b *Box
	)
	BeforeEach(func() {
		s = newStage()
		b = s.Container()
	})

	// verbs runs ADD and DEL of both plugins and calls judge with each trace.
	verbs := func(c Conf, judge func(plugin string, lines []string)) {
		GinkgoHelper()
		lines, result := trace(s, b, "ADD", c)
		judge("bridge", lines)
		chained := Conf{
			"type": "portmap", "prevResult": decodeAny(result), "runtimeConfig": Conf{"portMappings": webPorts()},
		}
		for _, step := range []struct {
			verb string
			Conf Conf
		}{{"ADD", chained}, {"CHECK", chained}, {"DEL", chained}, {"DEL", c}} {
			lines, _ := trace(s, b, step.verb, step.Conf)
			judge(step.Conf["type"].(string), lines)
		}
	}

	It("a sleep would be seen", func() {
		const monitor = "60 nanosleep({tv_sec=0, tv_nsec=20000}, NULL) = 0"
		for line, want := range map[string]bool{
			"60 nanosleep({tv_sec=0, tv_nsec=10000000}, NULL) = 0":                         false,
			"61 nanosleep({tv_sec=0, tv_nsec=3000}, NULL) = 0":                             false,
			"61 nanosleep({tv_sec=0, tv_nsec=50000000}, NULL) = 0":                         true,
			"61 clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=1, tv_nsec=0}, NULL) = 0":       true,
			"61 epoll_pwait(5, [], 128, 50, NULL, 0) = 0":                                  true,
			"61 <... epoll_pwait resumed>[], 128, 4, NULL, 0) = 0":                         true,
			"61 epoll_pwait(5, [], 128, 0, NULL, 0) = 0":                                   false,
			"61 epoll_pwait(5, [{events=EPOLLIN, data=0x1}], 128, 50, NULL, 0) = 1":        false,
			"61 epoll_pwait(5, [{events=EPOLLIN, data=0x1}], 128, -1, NULL, 0) = 1":        false,
			"61 poll([{fd=3, events=POLLIN}], 1, 500) = 0 (Timeout)":                       true,
			"61 <... nanosleep resumed>NULL) = 0":                                          false,
			"61 <... epoll_pwait resumed>[{events=EPOLLIN}], 128, 1000, NULL, 0)      = 1": false,
		} {
			Expect(len(sleeps([]string{monitor, line})) == 1).To(Equal(want), line)
		}
	})

	It("no other program is run", func() {
		verbs(bridge(s, SubnetV4, SubnetV6), func(plugin string, lines []string) {
			for _, line := range lines {
				if m := executed.FindStringSubmatch(line); m != nil {
					Expect(m[1]).To(Equal(filepath.Join(s.Bin, plugin)))
				}
			}
		})
	})

	It("nothing sleeps with IPv4", func() {
		verbs(bridge(s, SubnetV4), func(plugin string, lines []string) {
			Expect(sleeps(lines)).To(BeEmpty(), plugin)
		})
	})
})
