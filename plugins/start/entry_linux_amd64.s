#include "textflag.h"

// The kernel begins here, by the linker's -E, and goes on at Go's own entry. start.go says why.
//
// At SP are argc, the arguments, 0, the environment and 0
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
