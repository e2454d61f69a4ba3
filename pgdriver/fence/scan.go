package fence

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

const maxAims = 4096

// scanner finds and kills the processes of one PostgreSQL. It looks at nothing but /proc, so a disk
// that does not answer cannot stop it; and it allocates nothing once it is made.
type scanner struct {
	procFD int
	self   int

	entries [64 << 10]byte
	name    [64]byte // "<pid>/cwd" and the like, zero-terminated
	stat    [1024]byte
	exe     [4096]byte
	statx   unix.Statx_t

	aims    [maxAims]int32 // /proc directories of processes that were found before the deadline
	aimed   int
	keeping bool

	found  int // processes that the last pass found
	denied int // of these, how many may not be signalled
	killed int // signals sent by the last pass
}

// quarry is what tells one PostgreSQL from all others.
type quarry struct {
	dev, ino        int64 // of its data directory, which is the working directory of all its processes
	postmaster      int   // pid, or zero
	postmasterStart int64
}

func newScanner(self int) (*scanner, error) {
	fd, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /proc: %w", err)
	}
	return &scanner{procFD: fd, self: self}, nil
}

// pass finds the processes of q and sends sig to each: to the postmaster first if it is known, so that it cannot
// start others, then to each as it is found, because every moment counts. It returns how many there
// were. Zombies are none: they hold nothing any more.
func (s *scanner) pass(q quarry, sig unix.Signal) int {
	s.found, s.denied, s.killed = 0, 0, 0
	if q.ino == 0 && q.postmaster == 0 {
		return 0
	}
	if q.postmaster != 0 {
		s.consider(q.postmaster, q, sig)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_LSEEK, uintptr(s.procFD), 0, 0); e != noErrno {
		return s.found
	}
	for {
		n, e := rawGetdents(s.procFD, s.entries[:])
		if e == unix.EINTR {
			continue
		}
		if e != noErrno || n <= 0 {
			return s.found
		}
		s.visit(s.entries[:n], q, sig)
	}
}

// aim makes a pass that harms nobody and keeps hold of what it finds.
func (s *scanner) aim(q quarry) {
	s.dropAims()
	s.keeping = true
	s.pass(q, 0)
	s.keeping = false
}

// release sends SIGKILL to all that were aimed at, in one system call each. A pass must follow for
// those that came since.
func (s *scanner) release() {
	s.killed = 0
	for _, dir := range s.aims[:s.aimed] {
		if rawSignal(int(dir), 0, unix.SIGKILL) == noErrno {
			s.killed++
		}
	}
	s.dropAims()
}

func (s *scanner) dropAims() {
	for _, dir := range s.aims[:s.aimed] {
		rawClose(int(dir))
	}
	s.aimed = 0
}

// visit looks at one buffer of directory entries: ino 8, off 8, length 2, type 1, then the name.
func (s *scanner) visit(entries []byte, q quarry, sig unix.Signal) {
	for len(entries) > 19 {
		length := int(binary.NativeEndian.Uint16(entries[16:]))
		if length < 20 || length > len(entries) {
			return
		}
		if pid := leadingNumber(entries[19:length]); pid > 0 && pid != s.self && pid != q.postmaster {
			s.consider(pid, q, sig)
		}
		entries = entries[length:]
	}
}

// consider sends sig to the process if it is one of q's.
func (s *scanner) consider(pid int, q quarry, sig unix.Signal) {
	e := rawStatx(s.procFD, s.nameOf(pid, "/cwd"), &s.statx)
	switch {
	case e == noErrno:
		if !s.inDirectory(q) {
			return
		}
	case e != unix.EACCES && e != unix.EPERM:
		return
	case q.postmaster == 0:
		return
	}
	dir, e := rawOpen(s.procFD, s.nameOf(pid, ""), unix.O_RDONLY|unix.O_DIRECTORY)
	if e != noErrno {
		if e == unix.EMFILE || e == unix.ENFILE || e == unix.ENOMEM {
			s.killByPID(pid, q, sig)
		}
		return
	}
	// Looked at again through the open directory, which stays that of this very process.
	if s.belongs(dir, pid, q) {
		s.found++
		s.count(rawSignal(dir, pid, sig))
		if s.keeping && s.aimed < maxAims {
			s.aims[s.aimed] = int32(dir)
			s.aimed++
			return
		}
	}
	rawClose(dir)
}

// killByPID serves the moment in which no descriptor is to be had.
func (s *scanner) killByPID(pid int, q quarry, sig unix.Signal) {
	if e := rawStatx(s.procFD, s.nameOf(pid, "/cwd"), &s.statx); e != noErrno || !s.inDirectory(q) {
		return
	}
	n, e := rawReadlink(s.procFD, s.nameOf(pid, "/exe"), s.exe[:])
	if e != noErrno || !namesPostgres(baseName(s.exe[:n])) {
		return
	}
	s.found++
	_, _, e = unix.RawSyscall(unix.SYS_KILL, uintptr(pid), uintptr(sig), 0)
	s.count(e)
}

func (s *scanner) count(e unix.Errno) {
	switch e {
	case noErrno:
		s.killed++
	case unix.EPERM:
		s.denied++
	}
}

func (s *scanner) inDirectory(q quarry) bool {
	return q.ino != 0 && int64(s.statx.Ino) == q.ino && packDev(&s.statx) == q.dev
}

// belongs decides about the process whose /proc directory is open as dir. A shell or a tool that
// merely stands in the data directory is not PostgreSQL.
func (s *scanner) belongs(dir, pid int, q quarry) bool {
	info, ok := s.readStat(dir)
	if !ok || info.zombie {
		return false
	}
	switch e := rawStatx(dir, s.text("cwd"), &s.statx); e {
	case noErrno:
		if !s.inDirectory(q) {
			return false
		}
	case unix.EACCES, unix.EPERM:
		// Another user's process, or one whose working directory is hidden: its kinship has to do.
		own := pid == q.postmaster && info.start == q.postmasterStart
		if q.postmaster == 0 || !own && info.parent != q.postmaster {
			return false
		}
	default:
		return false
	}
	if info.postgres {
		return true
	}
	n, e := rawReadlink(dir, s.text("exe"), s.exe[:])
	return e == noErrno && namesPostgres(baseName(s.exe[:n]))
}

// processInfo is what is read of /proc/<pid>/stat.
type processInfo struct {
	postgres bool // by the name of its program
	zombie   bool
	parent   int
	start    int64
}

func (s *scanner) readStat(dir int) (processInfo, bool) {
	fd, e := rawOpen(dir, s.text("stat"), unix.O_RDONLY)
	if e != noErrno {
		return processInfo{}, false
	}
	n, e := rawRead(fd, s.stat[:])
	rawClose(fd)
	if e != noErrno {
		return processInfo{}, false
	}
	return parseStat(s.stat[:n])
}

// parseStat reads "pid (name) state ppid … starttime …". The name may hold spaces and parentheses.
func parseStat(b []byte) (processInfo, bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open || end+2 >= len(b) {
		return processInfo{}, false
	}
	info := processInfo{postgres: namesPostgres(b[open+1 : end])}
	rest := b[end+2:]
	for field := 3; field <= 22 && len(rest) > 0; field++ {
		stop := bytes.IndexByte(rest, ' ')
		if stop < 0 {
			stop = len(rest)
		}
		switch field {
		case 3:
			info.zombie = rest[0] == 'Z' || rest[0] == 'X'
		case 4:
			info.parent = leadingNumber(rest[:stop])
		case 22:
			info.start = int64(leadingNumber(rest[:stop]))
			return info, true
		}
		rest = rest[min(stop+1, len(rest)):]
	}
	return processInfo{}, false
}

var (
	wordPostgres   = []byte("postgres")
	wordPostmaster = []byte("postmaster")
	wordDeleted    = []byte(" (deleted)")
)

// namesPostgres knows "postgres" and names that end with it, as edb-postgres, also with " (deleted)"
// behind it after an upgrade. It does not know postgres_exporter.
func namesPostgres(program []byte) bool {
	program = bytes.TrimSuffix(program, wordDeleted)
	return bytes.HasSuffix(program, wordPostgres) || bytes.HasSuffix(program, wordPostmaster)
}

func baseName(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }

// leadingNumber reads a decimal number up to the first zero byte; zero if there is anything else.
func leadingNumber(b []byte) int {
	n := 0
	for i, c := range b {
		if c == 0 && i > 0 {
			break
		}
		if c < '0' || c > '9' || n > 1<<56 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// nameOf writes "<pid><suffix>" into the scanner's buffer.
func (s *scanner) nameOf(pid int, suffix string) *byte {
	var digits [20]byte
	at := len(digits)
	for {
		at--
		digits[at] = byte('0' + pid%10)
		if pid /= 10; pid == 0 {
			break
		}
	}
	n := copy(s.name[:], digits[at:])
	n += copy(s.name[n:len(s.name)-1], suffix)
	s.name[n] = 0
	return &s.name[0]
}

// text writes a short name into the scanner's buffer.
func (s *scanner) text(name string) *byte {
	s.name[copy(s.name[:len(s.name)-1], name)] = 0
	return &s.name[0]
}
