package fence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The page is a small file that agent and guard both map. Every field is one 64-bit word that is only
// accessed atomically. The layout is append-only: an agent of a newer version must be able to
// adopt the guard of an older one. pageVersion changes only if that promise is ever broken.
const (
	pageMagic   = 0x52474e5447524431 // "RGNTGRD1"
	pageVersion = 1
	pageBytes   = 4096

	// Bytes of the page file that agent and guard hold an open-file-description lock on for as long as they live.
	agentLockByte = 0
	guardLockByte = 1
)

// page is one mapped page file.
type page struct {
	*layout
	file   *os.File
	memory []byte
	path   string
	dev    uint64
	ino    uint64
}

// layout is what stands in the page, word by word.
type layout struct {
	magic   atomic.Int64
	version atomic.Int64
	// The boot and the pid namespace that instants and pids of this page belong to.
	bootHigh     atomic.Int64
	bootLow      atomic.Int64
	pidNamespace atomic.Int64

	agentPID   atomic.Int64
	agentStart atomic.Int64 // field 22 of /proc/<pid>/stat
	guardPID   atomic.Int64
	guardStart atomic.Int64
	guardLife  atomic.Int64 // counts the guards that have taken this page

	heartbeat atomic.Int64 // instant at which the guard last looked at state

	// state is the one word that decides. Zero: disarmed. D > 0: armed, PostgreSQL is killed at instant D. -D:
	// the guard has fired at deadline D and keeps killing. Agent and guard change it by
	// compare-and-swap only, so moving the deadline in time and firing exclude each other.
	state atomic.Int64
	// seq is raised by the agent when it wants an answer; the guard sets ack to it after it has read
	// state. The low half of seq is the futex on which a disarmed guard sleeps.
	seq  atomic.Int64
	ack  atomic.Int64
	seen atomic.Int64 // state as the guard last read it

	firedAt atomic.Int64 // instant; means something only while state is negative
	goneAt  atomic.Int64 // instant at which no process was left after firing, zero before
	killed  atomic.Int64 // signals sent since firing
	rounds  atomic.Int64 // passes over /proc since firing

	// The data directory's device and inode, by which the guard knows PostgreSQL's processes, and its
	// postmaster for where their working directories cannot be read.
	dirDev          atomic.Int64
	dirIno          atomic.Int64
	postmasterPID   atomic.Int64
	postmasterStart atomic.Int64

	visible atomic.Int64 // processes of this PostgreSQL that the guard saw at its last look
	denied  atomic.Int64 // of these, how many it may not signal

	quit     atomic.Int64 // guardLife of the guard that shall leave when disarmed
	powers   atomic.Int64 // what the guard was permitted: bits of power
	refusals atomic.Int64 // times that SIGTERM was refused because the guard was armed
}

const identityOffset = 1024 // text: who the agent says it is, zero-terminated, at most 256 bytes

var errLocked = errors.New("locked by another process")

// pagePath names the page after the data directory, so that two agents that were given the same directory
// meet at the same page whatever they call themselves.
func pagePath(runtimeDir, dataDir string) string {
	sum := sha256.Sum256([]byte(dataDir))
	return filepath.Join(runtimeDir, "guard-"+hex.EncodeToString(sum[:8])+".page")
}

// openPage maps the page file at path. With create, a missing file is made, still without contents.
func openPage(path string, create bool) (*page, error) {
	flags := unix.O_RDWR | unix.O_CLOEXEC | unix.O_NOFOLLOW
	if create {
		flags |= unix.O_CREAT
	}
	fd, err := unix.Open(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open guard page %s: %w", path, err)
	}
	p := &page{file: os.NewFile(uintptr(fd), path), path: path}
	if err := p.mapFile(create); err != nil {
		return nil, errors.Join(fmt.Errorf("map guard page %s: %w", path, err), p.file.Close())
	}
	return p, nil
}

func (p *page) mapFile(create bool) error {
	fd := int(p.file.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("not a regular file")
	}
	if int(st.Uid) != unix.Geteuid() {
		return fmt.Errorf("owned by user %d, not by user %d", st.Uid, unix.Geteuid())
	}
	if st.Size < pageBytes && !create {
		return errors.New("too short")
	}
	if create {
		// Blocks are taken now: a store into a hole of a full file system would be a SIGBUS.
		if err := p.allocate(fd, st.Size); err != nil {
			return fmt.Errorf("allocate: %w", err)
		}
	}
	memory, err := unix.Mmap(fd, 0, pageBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	p.dev, p.ino, p.memory = st.Dev, st.Ino, memory
	p.layout = (*layout)(unsafe.Pointer(&memory[0]))
	return nil
}

func (p *page) allocate(fd int, size int64) error {
	err := unix.Fallocate(fd, 0, 0, pageBytes)
	if !errors.Is(err, unix.EOPNOTSUPP) || size >= pageBytes {
		return err
	}
	_, err = unix.Pwrite(fd, make([]byte, pageBytes-size), size)
	return err
}

// close unmaps the page and gives up its locks. Nobody may use the page afterwards.
func (p *page) close() error {
	return errors.Join(unix.Munmap(p.memory), p.file.Close())
}

// lock takes one of the lock bytes, or says errLocked at once.
func (p *page) lock(which int64) error {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: which, Len: 1}
	err := unix.FcntlFlock(p.file.Fd(), unix.F_OFD_SETLK, &l)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errLocked
	}
	return err
}

// release gives up the locks and the file, but not the mapping. The locks need a word of their own: the mapping keeps
// the open file, and with it the locks, alive.
func (p *page) release() error {
	l := unix.Flock_t{Type: unix.F_UNLCK}
	return errors.Join(unix.FcntlFlock(p.file.Fd(), unix.F_OFD_SETLK, &l), p.file.Close())
}

// lockHeld tells whether somebody else holds a lock byte, that is, lives. The kernel drops such locks at
// death, whatever the pid namespace, so they cannot be mistaken for another process.
func (p *page) lockHeld(which int64) (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: which, Len: 1}
	if err := unix.FcntlFlock(p.file.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("ask for lock of guard page: %w", err)
	}
	return l.Type != unix.F_UNLCK, nil
}

// origin is what a page's pids and instants are valid within.
type origin struct{ bootHigh, bootLow, pidNamespace int64 }

func readOrigin() (origin, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return origin{}, fmt.Errorf("read boot id: %w", err)
	}
	id, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(id) != 16 {
		return origin{}, fmt.Errorf("read boot id: unexpected text %q", text)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		return origin{}, fmt.Errorf("read pid namespace: %w", err)
	}
	return origin{
		bootHigh: int64(binary.BigEndian.Uint64(id[:8])), bootLow: int64(binary.BigEndian.Uint64(id[8:])),
		pidNamespace: int64(st.Ino),
	}, nil
}

func (p *page) origin() origin {
	return origin{p.bootHigh.Load(), p.bootLow.Load(), p.pidNamespace.Load()}
}

// reset makes the page that of o, disarmed and without history. The caller holds the agent's lock and
// knows that no guard lives.
func (p *page) reset(o origin) {
	clear(p.memory)
	p.bootHigh.Store(o.bootHigh)
	p.bootLow.Store(o.bootLow)
	p.pidNamespace.Store(o.pidNamespace)
	p.version.Store(pageVersion)
	p.magic.Store(pageMagic)
}

func (p *page) valid() bool { return p.magic.Load() == pageMagic && p.version.Load() == pageVersion }

// setAgent writes down who holds the agent's lock. It is for people: the lock itself decides.
func (p *page) setAgent(pid, start int64, identity string) {
	text := p.memory[identityOffset : identityOffset+256]
	clear(text)
	copy(text[:255], identity)
	p.agentStart.Store(start)
	p.agentPID.Store(pid)
}

// identity is the text that the last agent wrote.
func (p *page) identity() string {
	text := p.memory[identityOffset : identityOffset+256]
	return strings.TrimRight(string(text), "\x00")
}

// sameFile tells whether the page's path still leads to the file that is mapped.
func (p *page) sameFile() (bool, error) {
	var st unix.Stat_t
	err := unix.Lstat(p.path, &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("stat guard page %s: %w", p.path, err)
	}
	return st.Dev == p.dev && st.Ino == p.ino, nil
}

// futexWord is the low half of seq.
func (l *layout) futexWord() *uint32 {
	at := unsafe.Pointer(&l.seq)
	if bigEndian {
		at = unsafe.Add(at, 4)
	}
	return (*uint32)(at)
}

var bigEndian = func() bool {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], 1)
	return b[1] == 1
}()

// ask raises seq, wakes a sleeping guard and returns the number to wait for in ack.
func (l *layout) ask() int64 {
	n := l.seq.Add(1)
	futexWake(l.futexWord())
	return n
}
