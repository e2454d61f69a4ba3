package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/bootclock"
)

// lookAtFiles looks at the data directory and finds the postmaster.
func (d *Driver) lookAtFiles(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	p := &d.probe
	now := d.config().Now()
	p.mu.Lock()
	look := fileLook{done: p.asked, begun: now}
	p.files.busy = now
	p.mu.Unlock()
	look.data, look.control, look.problem = d.lookAtData(ctx)
	_, unfinished := d.unfinished()
	tool := d.private.Load() || unfinished // what runs is an effect's, also where it was another agent's
	proc, pid, err := findPostmaster(d.dataDir)
	if err != nil && look.problem == "" {
		look.problem = err.Error()
	}
	look.pid = pid
	p.mu.Lock()
	moved := p.files.pid != look.pid
	p.files = look
	p.mu.Unlock()
	if proc != nil && tool {
		proc.close()
	} else if proc != nil {
		d.watch(proc)
	}
	if moved {
		poke(p.pokeSQL)
	}
}

// watch makes Run wait for the end of a postmaster. It takes over the handle.
func (d *Driver) watch(proc *process) {
	p := &d.probe
	p.mu.Lock()
	launch := p.launch
	known := p.current != nil && p.current.pid == proc.pid && p.current.started == proc.started
	if known || launch == nil || d.private.Load() || proc.dead() {
		p.mu.Unlock()
		proc.close()
		return
	}
	p.current = &watched{pid: proc.pid, started: proc.started, since: d.config().Now()}
	p.hurry = p.current.since.Add(hurryFor)
	launch(proc)
	p.mu.Unlock()
	d.Poke()
}

// startWatch is called with the prober's lock held, so that Run cannot end meanwhile.
func (d *Driver) startWatch(ctx context.Context, children *sync.WaitGroup, proc *process) {
	children.Go(func() {
		defer proc.close()
		err := proc.wait(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.log.Error("watch the postmaster", zap.Error(err))
			return
		}
		d.ended(ctx, proc)
	})
}

// ended tells that a postmaster is dead, makes its children follow, and tells that. After a clean end there is none that
// could write, which is told before the search for others.
func (d *Driver) ended(ctx context.Context, proc *process) {
	born := bootTicks()
	p := &d.probe
	p.mu.Lock()
	if p.current != nil && p.current.pid == proc.pid && p.current.started == proc.started {
		p.current = nil
	}
	p.mu.Unlock()
	d.emit(events.PostgresExited{PID: proc.pid})
	poke(p.changed)
	gone := events.PostgresExited{PID: proc.pid, Gone: true}
	looking, cancel := context.WithTimeout(ctx, quitGrace)
	clean := d.ending(looking).clean
	cancel()
	if clean {
		d.emit(gone)
	}
	for {
		err := d.sweep(ctx, syscall.SIGQUIT, born)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		d.log.Error("end the children of a dead postmaster", zap.Error(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	if !clean {
		d.emit(gone)
	}
	d.Poke()
}

// bootTicks is now in the unit of /proc/<pid>/stat, in which the kernel has always had 100 in a second.
func bootTicks() uint64 { return uint64(bootclock.Now()) / uint64(10*time.Millisecond) }

// lookAtData tells what the data directory holds.
func (d *Driver) lookAtData(ctx context.Context) (events.DataState, events.Control, string) {
	empty, err := isEmptyDir(d.dataDir)
	if err != nil {
		return events.DataUnknown, events.Control{}, err.Error()
	}
	if empty {
		return events.DataEmpty, events.Control{}, ""
	}
	if what, unfinished := d.unfinished(); unfinished {
		return events.DataEmpty, events.Control{}, "holds an unfinished " + what + ", which will be begun anew"
	}
	c, err := d.observeControl(ctx)
	if err != nil {
		return stateOf(err), events.Control{}, err.Error()
	}
	if c.VersionMajor != 0 && c.VersionMajor != d.version {
		return events.DataInvalid, c, fmt.Sprintf("the data directory is of PostgreSQL %d, the programs are of %d", c.VersionMajor, d.version)
	}
	if d.halfRewound() {
		return events.DataPresent, c, "a rewind did not end: rewind again, or clone this member anew"
	}
	return events.DataPresent, c, ""
}

var errNotDataDirectory = errors.New("holds something, but not a PostgreSQL data directory: no PG_VERSION")

// stateOf tells contents that are wrong from contents that cannot be read now.
func stateOf(err error) events.DataState {
	var syntax *strconv.NumError
	for _, wrong := range []error{errNotDataDirectory, errControlLayout, fs.ErrNotExist} {
		if errors.Is(err, wrong) {
			return events.DataInvalid
		}
	}
	if errors.As(err, &syntax) {
		return events.DataInvalid
	}
	return events.DataUnknown
}

func (d *Driver) observeControl(ctx context.Context) (events.Control, error) {
	b, err := os.ReadFile(filepath.Join(d.dataDir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return events.Control{}, fmt.Errorf("%s %w", d.dataDir, errNotDataDirectory)
	}
	if err != nil {
		return events.Control{}, fmt.Errorf("read PG_VERSION: %w", err)
	}
	major, err := strconv.Atoi(strings.SplitN(strings.TrimSpace(string(b)), ".", 2)[0])
	if err != nil {
		return events.Control{}, fmt.Errorf("read PG_VERSION: %w", err)
	}
	c, err := d.control(ctx)
	if err != nil {
		return events.Control{}, err
	}
	out := events.Control{SystemID: c.systemID(), State: c.State, Timeline: c.Timeline, CheckpointLSN: c.Checkpoint,
		MinRecoveryLSN: c.MinRecovery, MinRecoveryTLI: c.MinRecoveryTLI, CanRewind: c.canRewind(), VersionMajor: major}
	if out.StandbySignal, err = exists(filepath.Join(d.dataDir, d.standbyFile())); err != nil {
		return events.Control{}, fmt.Errorf("look for the standby signal: %w", err)
	}
	if out.BackupLabelSeen, err = copyLabelled(d.dataDir); err != nil {
		return events.Control{}, err
	}
	return out, nil
}

// standbyFile is the file that makes a server a standby.
func (d *Driver) standbyFile() string {
	if d.version < 12 {
		return "recovery.conf"
	}
	return "standby.signal"
}
