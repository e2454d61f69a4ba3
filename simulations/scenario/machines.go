package scenario

import (
	"errors"
	"time"
)

// Machines are finer faults of hosts and of the ways between them. A stage that cannot play them does not implement it, and the commands that
// need it say so.
type Machines interface {
	// CutWay lets nothing of from reach to; it is swallowed, or refused. JoinMembers ends it.
	CutWay(from, to []string, refused bool) error
	// CutServer separates a member from one server of the store. JoinStore ends it.
	CutServer(member string, server int, refused bool) error
	// SpoilWays makes the ways between two sides slow by a time each way, or lose so many packets of a hundred. JoinMembers ends it.
	SpoilWays(a, b []string, late time.Duration, percent int) error
	// SpoilStore does the same to a member's line to the store. JoinStore ends it.
	SpoilStore(member string, late time.Duration, percent int) error
	// SetDisk changes what a member's data directory is on; slow is how long a sync takes on a DiskSlow.
	SetDisk(member string, disk Disk, slow time.Duration) error
	// StallLog lets the volume of the agent's event log answer nothing, or answer again.
	StallLog(member string, stalled bool) error
	// DriftClock lets the boot clock of a member's host run too fast by so many percent, too slow if negative, right if zero.
	DriftClock(member string, percent float64) error
	// StepWallClock sets its wall clock ahead, or back.
	StepWallClock(member string, d time.Duration) error
	// SuspendHost stops everything there, while the boot clock goes on; WakeHost ends it.
	SuspendHost(member string) error
	WakeHost(member string) error
	// KillAgentAt ends an agent when its next decision holds an effect of that name: before it is performed, with those before it performed; or
	// amid it, a moment after all were begun.
	KillAgentAt(member, effect string, amid bool) error
	// NameAgent gives an agent that does not run another name in its configuration.
	NameAgent(member, name string) error
}

// Disk is what a disk does.
type Disk string

// The states of a disk.
const (
	DiskWell     Disk = "well"
	DiskStalled  Disk = "stalled"
	DiskFull     Disk = "full"
	DiskWALFull  Disk = "wal-full"
	DiskReadOnly Disk = "read-only"
	DiskSlow     Disk = "slow"
)

// machines are the stage's, or an error.
func (r *run) machines() (Machines, error) {
	m, ok := r.stage.(Machines)
	if !ok {
		return nil, errors.New("this stage has no such faults of machines")
	}
	return m, nil
}

// onMachines does something to each of some members.
func (x who) onMachines(do func(m Machines, member string) error) action {
	return x.each(func(r *run, member string) error {
		m, err := r.machines()
		if err != nil {
			return err
		}
		return do(m, member)
	})
}
