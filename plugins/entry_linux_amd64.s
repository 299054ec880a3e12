#include "textflag.h"

// Where the kernel begins with the plugins (the linker's -E, see Makefile), before Go's own
// entry: three things can only be said before the runtime starts. They save a sixth of an
// ADD's CPU, and a quarter of VERSION's. settle takes back what is for the runtime alone.
//
// One processor: GOMAXPROCS, behind a user's own one. The runtime then starts fewer threads,
// and settle need not stop the world and give back a processor's spans (a page fault in five).
//
// Timers may be a millisecond late: the runtime's watching thread would wake up each 70 us,
// to find the one goroutine where it left it.
//
// Files 0 to 2 and no more: the runtime would read the cgroup's share of the processors from
// /proc/self/cgroup and /proc/self/mountinfo (0.2 ms), and no setting keeps it from that.
//
// Without -E nothing calls this. At SP are argc, the arguments, 0, the environment and 0
// (System V ABI, AMD64, 3.4.1). All of it moves down a word, and our string takes the place
// of the last 0, whose old one is right after it.
TEXT bridgeport_entry(SB),NOSPLIT|NOFRAME,$0
	CLD
	MOVQ	SP, SI
	LEAQ	-8(SP), DI
	MOVSQ
arguments:
	LODSQ
	STOSQ
	TESTQ	AX, AX
	JNZ	arguments
environment:
	LODSQ
	STOSQ
	TESTQ	AX, AX
	JNZ	environment
	LEAQ	bridgeport_one(SB), AX
	MOVQ	AX, -8(DI)
	LEAQ	-8(SP), SP

	MOVL	$157, AX	// prctl
	MOVL	$29, DI	// PR_SET_TIMERSLACK
	MOVL	$1000000, SI	// ns
	SYSCALL

	MOVL	$302, AX	// prlimit64
	XORL	DI, DI
	MOVL	$7, SI	// RLIMIT_NOFILE
	XORL	DX, DX
	LEAQ	·files(SB), R10
	SYSCALL
	TESTQ	AX, AX
	JNZ	start
	MOVQ	·files+8(SB), AX
	LEAQ	bridgeport_few(SB), DX
	MOVQ	$3, (DX)
	MOVQ	AX, 8(DX)
	MOVL	$302, AX
	XORL	R10, R10
	SYSCALL
start:
	JMP	_rt0_amd64_linux(SB)
