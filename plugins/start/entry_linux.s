#include "textflag.h"

// What the entries of all processors share.

// "GOMAXPROCS=01": the runtime reads it as 1, and Settle knows it by that.
DATA bridgeport_one+0(SB)/8, $"GOMAXPRO"
DATA bridgeport_one+8(SB)/8, $"CS=01\x00\x00\x00"
GLOBL bridgeport_one(SB), RODATA|NOPTR, $16

// The lowered limit of open files, a struct rlimit.
GLOBL bridgeport_few(SB), NOPTR, $16
