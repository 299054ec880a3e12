#include "textflag.h"

// The same as entry_linux_amd64.s; start.go says why. The stack stays aligned to 16 bytes, so
// all moves down two words, and our string is there twice.
TEXT bridgeport_entry(SB),NOSPLIT|NOFRAME,$0
	MOVD	RSP, R0
	SUB	$16, RSP
	MOVD	RSP, R1
	MOVD.P	8(R0), R2
	MOVD.P	R2, 8(R1)
arguments:
	MOVD.P	8(R0), R2
	MOVD.P	R2, 8(R1)
	CBNZ	R2, arguments
environment:
	MOVD.P	8(R0), R2
	MOVD.P	R2, 8(R1)
	CBNZ	R2, environment
	MOVD	$bridgeport_one(SB), R2
	MOVD	R2, -8(R1)
	MOVD	R2, (R1)

	MOVD	$29, R0	// PR_SET_TIMERSLACK
	MOVD	$1000000, R1	// ns
	MOVD	$167, R8	// prctl
	SVC

	MOVD	$0, R0
	MOVD	$7, R1	// RLIMIT_NOFILE
	MOVD	$0, R2
	MOVD	$·files(SB), R3
	MOVD	$261, R8	// prlimit64
	SVC
	CBNZ	R0, start
	MOVD	·files+8(SB), R4
	MOVD	$bridgeport_few(SB), R2
	MOVD	$3, R5
	MOVD	R5, (R2)
	MOVD	R4, 8(R2)
	MOVD	$7, R1
	MOVD	$0, R3
	SVC
start:
	JMP	_rt0_arm64_linux(SB)
