package fence

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/events"
)

// System calls of the guard's loop. All but the idle ones are raw, which here is a matter of robustness: an
// ordinary call tells Go's scheduler about itself, and the scheduler may answer by waking or starting a
// thread, which costs time in the moment that matters and cannot be done when memory is at its limit.

const noErrno = unix.Errno(0)

// bootNow reads CLOCK_BOOTTIME.
func bootNow() events.Instant {
	var ts unix.Timespec
	if _, _, e := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); e != noErrno {
		panic("read CLOCK_BOOTTIME: " + e.Error()) // Linux has had it since 2.6.39
	}
	return events.Instant(ts.Nano())
}

// sleepUntil sleeps on CLOCK_BOOTTIME. After a suspend it wakes at once if the instant has passed
// meanwhile; it may return early when a signal comes.
func sleepUntil(at events.Instant) {
	ts := unix.NsecToTimespec(int64(at))
	_, _, e := unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_BOOTTIME, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	napAfter(e)
}

// idleUntil is sleepUntil told to Go's scheduler, whose monitor thread then sleeps too instead of waking a
// hundred times a second. It is for the long sleeps; warmUp has made the threads that this may need.
func idleUntil(at events.Instant) {
	ts := unix.NsecToTimespec(int64(at))
	_, _, e := unix.Syscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_BOOTTIME, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	napAfter(e)
}

const (
	futexOpWait = 0
	futexOpWake = 1
)

// idleOn idles until woken, for at most d, and not at all if the word is no longer want.
func idleOn(word *uint32, want uint32, d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_, _, e := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexOpWait, uintptr(want), uintptr(unsafe.Pointer(&ts)), 0, 0)
	napAfter(e)
}

// napAfter keeps the loop from spinning where a sandbox does not know one of the calls above.
func napAfter(e unix.Errno) {
	switch e {
	case noErrno, unix.EINTR, unix.EAGAIN, unix.ETIMEDOUT:
		return
	}
	ts := unix.NsecToTimespec(int64(10 * time.Millisecond))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// futexWake cannot fail for a word that is mapped; a sleeper that was not there needs no waking.
func futexWake(word *uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexOpWake, 1, 0, 0, 0)
}

// rawClose closes what was only read: nothing can be lost.
func rawClose(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// rawOpen opens the zero-terminated path below dir.
func rawOpen(dir int, path *byte, flags int) (int, unix.Errno) {
	fd, _, e := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
	return int(fd), e
}

func rawRead(fd int, into []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)))
	return int(n), e
}

// rawReadlink reads the link at the zero-terminated path below dir.
func rawReadlink(dir int, path *byte, into []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)), 0, 0)
	return int(n), e
}

// rawStatx reads device and inode of what path leads to, from memory: it never asks a file server.
func rawStatx(dir int, path *byte, st *unix.Statx_t) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(path)),
		unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO, uintptr(unsafe.Pointer(st)), 0)
	return e
}

// packDev makes one word of a device number as statx gives it.
func packDev(st *unix.Statx_t) int64 { return int64(st.Dev_major)<<32 | int64(st.Dev_minor) }

// rawSignal sends sig to the process whose /proc directory is open as dir: nobody else can get it, even if the
// pid is taken by another process meanwhile. Where a kernel or a sandbox refuses that the pid is used, if it is given.
func rawSignal(dir, pid int, sig unix.Signal) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(dir), uintptr(sig), 0, 0, 0, 0)
	if pid != 0 && e != noErrno && e != unix.ESRCH {
		_, _, e = unix.RawSyscall(unix.SYS_KILL, uintptr(pid), uintptr(sig), 0)
	}
	return e
}

func rawGetdents(fd int, into []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)))
	return int(n), e
}

// rawWrite writes a line for people, who may have closed what it goes to.
func rawWrite(fd int, b []byte) {
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
}

// writable tells whether a short write to fd returns at once.
func writable(fd int) bool {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	var now unix.Timespec
	n, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return e == noErrno && n == 1 && p.Revents&unix.POLLOUT != 0
}
