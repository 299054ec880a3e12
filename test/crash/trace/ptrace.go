package trace

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// info is struct ptrace_syscall_info (linux/ptrace.h), as far as it is needed.
type info struct {
	op   uint8
	nr   uint64
	args [6]uint64
}

// PTRACE_SYSCALL_INFO_ENTRY, _EXIT and _SECCOMP.
const (
	opEntry  = 1
	opExit   = 2
	opFilter = 3
)

const infoSize = 88

func syscallInfo(pid int) (info, error) {
	var b [infoSize]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(pid), infoSize, uintptr(unsafe.Pointer(&b)), 0, 0)
	if errno != 0 {
		return info{}, errno
	}
	in := info{op: b[0], nr: binary.NativeEndian.Uint64(b[24:])}
	for i := range in.args {
		in.args[i] = binary.NativeEndian.Uint64(b[32+8*i:])
	}
	return in, nil
}

// skip makes the kernel leave out the call that the thread is about to make.
func skip(pid int) error {
	return registers(pid, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) })
}

func setResult(pid int, value int64) error {
	return registers(pid, func(r *unix.PtraceRegs) { r.Rax = uint64(value) })
}

func registers(pid int, change func(*unix.PtraceRegs)) error {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &r); err != nil {
		return fmt.Errorf("trace: registers: %w", err)
	}
	change(&r)
	if err := unix.PtraceSetRegs(pid, &r); err != nil {
		return fmt.Errorf("trace: registers: %w", err)
	}
	return nil
}

// peek reads memory of the process; it returns how much could be read.
func peek(pid int, addr uintptr, into []byte) int {
	// Page by page: what follows the text may not be mapped.
	n := min(len(into), 4096-int(addr%4096))
	local := []unix.Iovec{{Base: &into[0], Len: uint64(n)}}
	got, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: addr, Len: n}}, 0)
	if err != nil {
		return 0
	}
	return got
}

// shift moves a struct timespec that the kernel has just written.
func shift(pid int, addr uintptr, by time.Duration) error {
	var b [8]byte
	if peek(pid, addr, b[:]) < len(b) {
		return nil
	}
	binary.NativeEndian.PutUint64(b[:], binary.NativeEndian.Uint64(b[:])+uint64(int64(by/time.Second)))
	_, err := unix.PtracePokeData(pid, addr, b[:])
	return err
}

// Types of the auxiliary vector (linux/auxvec.h).
const (
	auxIgnore = 1
	auxVDSO   = 33
)

// hideVDSO makes the program ask the kernel for the time, where it can be seen: the
// entry for the vDSO in the auxiliary vector, behind arguments and environment on the
// stack, becomes one to be ignored.
func hideVDSO(pid int) error {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &r); err != nil {
		return fmt.Errorf("trace: registers: %w", err)
	}
	at := uintptr(r.Rsp)
	word := func() uint64 {
		var b [8]byte
		peek(pid, at, b[:])
		at += 8
		return binary.NativeEndian.Uint64(b[:])
	}
	at += uintptr(word()+1) * 8 // the arguments and a null
	for word() != 0 {           // the environment
	}
	for {
		entry := at
		kind := word()
		word()
		if kind == 0 {
			return nil
		}
		if kind == auxVDSO {
			var b [8]byte
			binary.NativeEndian.PutUint64(b[:], auxIgnore)
			_, err := unix.PtracePokeData(pid, entry, b[:])
			return err
		}
	}
}
