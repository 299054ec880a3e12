#include "textflag.h"

// GOMAXPROCS is 1 from the runtime's first step on if it is in the environment: then it
// starts fewer threads, and main need not stop the world and give back a processor's
// spans. A page fault in five and 6 % of an ADD's CPU go with that, 10 % of a repeated
// DEL's. So the linker (-E, see Makefile) makes the kernel begin here, not at Go's own
// entry, and the variable is put behind the others: one that the user set comes first and
// stays, and main takes ours away. Without -E nothing calls this.
//
// The kernel leaves argc, the arguments, 0, the environment and 0 at SP (System V ABI,
// AMD64, 3.4.1). All of it moves down a word, and our string takes the place of the last 0,
// whose old one is right after it.
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
	LEAQ	one<>(SB), AX
	MOVQ	AX, -8(DI)
	LEAQ	-8(SP), SP
	JMP	_rt0_amd64_linux(SB)

// "GOMAXPROCS=01": the runtime reads it as 1, and main knows it as ours.
DATA one<>+0(SB)/8, $"GOMAXPRO"
DATA one<>+8(SB)/8, $"CS=01\x00\x00\x00"
GLOBL one<>(SB), RODATA|NOPTR, $16
