package trace

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// A program with a filter (seccomp(2)) stops at calls that may be effects, and at no others: an
// iptables program makes hundreds of others before its first. The filter is inherited, and without
// a tracer the calls that it knows fail: so nobody may be let go.

// filter is the filter's program: calls of effects stop, all others don't.
func filter() []unix.SockFilter {
	const nr, arch = 0, 4 // offsets in struct seccomp_data
	const openFlags = 16 + 2*8
	calls := slices.Sorted(maps.Keys(effects))
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	answer := func(what uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what}
	}
	jump := func(how uint16, k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | how, Jt: uint8(yes), Jf: uint8(no), K: k}
	}
	list := []unix.SockFilter{
		load(arch), jump(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, 0, len(calls)+4), load(nr),
		jump(unix.BPF_JEQ, unix.SYS_OPENAT, 0, 2), load(openFlags), jump(unix.BPF_JSET, changing, len(calls)+1, len(calls)),
	}
	for i, call := range calls {
		list = append(list, jump(unix.BPF_JEQ, uint32(call), len(calls)-i, 0))
	}
	return append(list, answer(unix.SECCOMP_RET_ALLOW), answer(unix.SECCOMP_RET_TRACE))
}

// install gives the filter to a program that has just been executed: the program makes the call
// itself, with an instruction that stands for the moment where its first one is.
func install(pid int) error {
	var saved unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &saved); err != nil {
		return fmt.Errorf("trace: filter: registers: %w", err)
	}
	list := filter()
	// struct sock_fprog, and behind it what it points to, below the stack and its red zone.
	at := (uintptr(saved.Rsp) - 256 - uintptr(16+8*len(list))) &^ 15
	text := binary.NativeEndian.AppendUint64(nil, uint64(len(list)))
	text = binary.NativeEndian.AppendUint64(text, uint64(at+16))
	for _, f := range list {
		text = binary.NativeEndian.AppendUint16(text, f.Code)
		text = binary.NativeEndian.AppendUint32(append(text, f.Jt, f.Jf), f.K)
	}
	if _, err := unix.PtracePokeData(pid, at, text); err != nil {
		return fmt.Errorf("trace: filter: %w", err)
	}
	first, code := make([]byte, 2), uintptr(saved.Rip)
	if _, err := unix.PtracePeekText(pid, code, first); err != nil {
		return fmt.Errorf("trace: filter: %w", err)
	}
	if _, err := unix.PtracePokeText(pid, code, []byte{0x0f, 0x05}); err != nil { // syscall
		return fmt.Errorf("trace: filter: %w", err)
	}
	call := saved
	call.Orig_rax, call.Rax = ^uint64(0), unix.SYS_SECCOMP
	call.Rdi, call.Rsi, call.Rdx = unix.SECCOMP_SET_MODE_FILTER, 0, uint64(at)
	if err := step(pid, &call); err != nil {
		return fmt.Errorf("trace: filter: %w", err)
	}
	if call.Rax != 0 {
		return fmt.Errorf("trace: filter: %w", unix.Errno(-int64(call.Rax)))
	}
	if _, err := unix.PtracePokeText(pid, code, first); err != nil {
		return fmt.Errorf("trace: filter: %w", err)
	}
	return unix.PtraceSetRegs(pid, &saved)
}

// step lets the thread make one instruction from these registers, and reads them again.
func step(pid int, r *unix.PtraceRegs) error {
	if err := unix.PtraceSetRegs(pid, r); err != nil {
		return err
	}
	if err := unix.PtraceSingleStep(pid); err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
		return err
	}
	if !status.Stopped() || status.StopSignal() != unix.SIGTRAP {
		return fmt.Errorf("not stopped after one instruction: %#x", status)
	}
	return unix.PtraceGetRegs(pid, r)
}
