package fence

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// power is something that makes the guard more certain, where the machine permits it.
type power int64

const (
	powerLockedAll  power = 1 << iota // all of its memory stays resident
	powerLockedCode                   // what its loop uses stays resident, within RLIMIT_MEMLOCK
	powerRealTime                     // it runs before ordinary processes
	powerNice                         // it has a better nice value than ordinary processes
	powerSpared                       // the out-of-memory killer spares it
)

// harden asks for every power and tells which were granted. None is required.
func harden(pageMemory []byte) power {
	var got power
	if os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0) == nil {
		got |= powerSpared
	}
	if os.WriteFile("/proc/self/comm", []byte("regent-guard"), 0) != nil {
		got |= 0 // a name for people only
	}
	got |= prioritise()
	if unix.Mlockall(unix.MCL_CURRENT|unix.MCL_ONFAULT) == nil {
		return got | powerLockedAll
	}
	if lockResident(pageMemory) {
		got |= powerLockedCode
	}
	return got
}

// prioritise raises every thread that exists; later ones inherit.
func prioritise() power {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	realTime, nice := len(tasks) > 0, len(tasks) > 0
	for _, task := range tasks {
		var tid int
		if _, err := fmt.Sscan(task.Name(), &tid); err != nil {
			return 0
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		realTime = unix.SchedSetAttr(tid, &attr, 0) == nil && realTime
		if !realTime {
			nice = unix.Setpriority(unix.PRIO_PROCESS, tid, -20) == nil && nice
		}
	}
	switch {
	case realTime:
		return powerRealTime
	case nice:
		return powerNice
	}
	return 0
}

// lockResident locks what this process has touched, code first: without that, a pass in the middle of
// memory pressure could wait for the disk that holds the program. It stops at RLIMIT_MEMLOCK,
// and tells whether it came to the end of the code.
func lockResident(pageMemory []byte) bool {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return false
	}
	defer func() { _ = pagemap.Close() }() // read only
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return false
	}
	if unix.Mlock(pageMemory) != nil {
		return false
	}
	for _, wanted := range []string{"r-xp", "rw-p", "r--p"} {
		lines := bufio.NewScanner(strings.NewReader(string(maps)))
		for lines.Scan() {
			var from, to uint64
			var rights string
			if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil || rights != wanted || from>>63 != 0 {
				continue
			}
			if !lockRange(pagemap, from, to) {
				return wanted != "r-xp"
			}
		}
	}
	return true
}

// lockRange locks those pages of one mapping that are present.
func lockRange(pagemap io.ReaderAt, from, to uint64) bool {
	size := uint64(os.Getpagesize())
	const chunk = 512
	buf := make([]byte, chunk*8)
	for base := from; base < to; base += chunk * size {
		n, err := pagemap.ReadAt(buf[:min(chunk, (to-base)/size)*8], int64(base/size*8))
		if err != nil && n == 0 {
			return true // no memory behind it, as [vvar]
		}
		run := uint64(0)
		for i := 0; i*8 <= n; i++ {
			if i*8 < n && binary.NativeEndian.Uint64(buf[i*8:])>>63 == 1 {
				run++
				continue
			}
			if run > 0 && !lockPages(base+(uint64(i)-run)*size, run*size) {
				return false
			}
			run = 0
		}
	}
	return true
}

func lockPages(at, length uint64) bool {
	_, _, e := unix.RawSyscall(unix.SYS_MLOCK, uintptr(at), uintptr(length), 0)
	return e == noErrno
}
