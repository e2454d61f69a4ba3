package postgres

import "time"

// Disk is what a server's disk does.
type Disk uint8

// The states of a disk.
const (
	DiskWell     Disk = iota
	DiskFull          // no room for data: commits fail, nothing starts; what runs goes on
	WALFull           // no room for WAL: the server PANICs at the next write
	DiskStalled       // nothing that is written or read returns: commits hang, and so does the look at the data directory
	DiskReadOnly      // remounted after an error: what is read is there, every write fails, of WAL with a PANIC
)

// noWAL tells that WAL cannot be written, which no server survives.
func (d Disk) noWAL() bool { return d == WALFull || d == DiskReadOnly }

// refuses is what a program is told that writes files there, empty if it may.
func (d Disk) refuses() string {
	switch d {
	case DiskFull, WALFull:
		return "no space left on device"
	case DiskReadOnly:
		return "read-only file system"
	}
	return ""
}

// SetDisk changes what the disk does.
func (s *Server) SetDisk(d Disk) {
	if s.disk == d {
		return
	}
	s.settle()
	was := s.disk
	s.disk, s.stalledAt = d, s.now()
	if was == DiskStalled && s.dying {
		s.orphansEnd()
	}
	if d.noWAL() && s.up != nil && s.phase == up {
		s.panics() // its receiver writes all the time
		return
	}
	s.c.Changed()
	if was == DiskStalled {
		s.resumed()
	}
}

// SlowFsync makes everything that is synced take longer by d.
func (s *Server) SlowFsync(d time.Duration) {
	s.settle()
	s.slow = d
	s.c.horizon = max(s.c.horizon, 2*(d+s.lag+s.c.Timing.Lag)+s.applyDelay+time.Second)
	s.begunAnew()
}

// fsync is how long a sync takes.
func (s *Server) fsync() time.Duration { return s.c.Timing.Fsync + s.slow }

// waitsForDisk is why nothing can be done to a data directory whose killed server has not gone.
const waitsForDisk = "the server was killed, and its processes wait for a disk that does not answer"

// dies is the end of processes that wait for a disk that does not answer: SIGKILL is pending until the wait is over. None can answer a
// client before it dies, and nobody may start another server beside them.
func (s *Server) dies() bool {
	if s.disk != DiskStalled || s.phase == down || s.hostDown {
		return false
	}
	if s.dying {
		return true
	}
	s.unlink()
	s.dying, s.phase = true, orphaned
	s.life++
	s.checkAt, s.flushing, s.promoting, s.promoteAsked, s.hung = 0, false, false, false, false
	s.hangUp()
	s.c.Changed()
	s.tell(false)
	return true
}

// Stuck tells that the server cannot go on, or cannot be seen to, before a fault of its host has ended: it hangs, its disk is not well,
// or the probe gets no answer.
func (s *Server) Stuck() bool { return s.hung || s.asleep || s.blind || s.disk != DiskWell }
