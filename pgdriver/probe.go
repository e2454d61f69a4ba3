package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/regent-ha/regent/events"
)

// prober holds what Run learns. Its goroutines are: one that looks at files, one that asks the server, one
// for each postmaster that waits for its end, and Run's own, which puts together and tells.
type prober struct {
	mu      sync.Mutex // guards the fields up to the blank line
	asked   uint64     // times that somebody asked for a look
	files   fileLook
	sql     sqlLook
	current *watched       // the postmaster that lives, as far as known
	launch  func(*process) // starts to watch a postmaster; nil while Run does not run
	hurry   events.Instant // until when to look often
	sink    func(events.Fact)

	sinkMu    sync.Mutex // one fact at a time
	pokeFiles chan struct{}
	pokeSQL   chan struct{}
	changed   chan struct{}
	duty      chan *held // holds the idle duty connection; empty while somebody uses it
	// configured tells that the next look should ask for parameters that wait for a restart.
	configured atomic.Bool
}

// watched is a postmaster that Run waits for.
type watched struct {
	pid     int
	started uint64
	since   events.Instant
}

// fileLook is what the last look at the files told.
type fileLook struct {
	begun   events.Instant
	done    uint64         // value of asked that this look answers
	busy    events.Instant // since when a look has been going on, zero: none
	data    events.DataState
	problem string
	control events.Control
	pid     pidFile
}

// sqlLook is what the last question to the server told.
type sqlLook struct {
	begun      events.Instant
	done       uint64
	busy       events.Instant
	pid        int // of the postmaster that was asked
	ok         bool
	starting   bool
	rejecting  bool // answered, with another error
	problem    string
	answeredAt events.Instant
	server     events.Server
}

// held is a connection that is kept open, and the postmaster that it leads to.
type held struct {
	conn *pgconn.PgConn
	pid  int
}

func (p *prober) init() {
	p.pokeFiles, p.pokeSQL = make(chan struct{}, 1), make(chan struct{}, 1)
	p.changed = make(chan struct{}, 1)
	p.duty = make(chan *held, 1)
	p.duty <- &held{}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Poke makes Run look at everything now, and tell.
func (d *Driver) Poke() {
	d.probe.mu.Lock()
	d.probe.asked++
	d.probe.mu.Unlock()
	poke(d.probe.pokeFiles)
	poke(d.probe.pokeSQL)
}

const (
	hurryPeriod = 50 * time.Millisecond // between looks while something is going on
	hurryFor    = 10 * time.Second
	fileStall   = 2 * time.Second        // a look at the files that takes longer is a disk that does not answer
	sqlStall    = 500 * time.Millisecond // a question that takes longer makes the last answer too old to repeat
)

// hurryUp makes Run look often for a while.
func (d *Driver) hurryUp() {
	until := d.config().Now().Add(hurryFor)
	d.probe.mu.Lock()
	d.probe.hurry = until
	d.probe.mu.Unlock()
	d.Poke()
}

// interval is the time until the next look.
func (d *Driver) interval() time.Duration {
	cfg := d.config()
	d.probe.mu.Lock()
	defer d.probe.mu.Unlock()
	settled := d.probe.current == nil || d.probe.sql.ok && d.probe.sql.pid == d.probe.current.pid
	if !settled && cfg.Now() < d.probe.hurry {
		return hurryPeriod
	}
	if !settled && d.probe.sql.starting {
		return min(2*hurryPeriod, cfg.ProbePeriod)
	}
	return cfg.ProbePeriod
}

// Run observes until ctx ends, and returns after everything that it started has. The sink is called with one
// fact at a time and must not block.
func (d *Driver) Run(ctx context.Context, sink func(events.Fact)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var children sync.WaitGroup
	p := &d.probe
	p.mu.Lock()
	if p.sink != nil {
		p.mu.Unlock()
		return errors.New("observe postgresql: already running")
	}
	p.sink = sink
	p.launch = func(proc *process) { d.startWatch(ctx, &children, proc) }
	p.hurry = d.config().Now().Add(hurryFor)
	p.asked++
	p.files, p.sql = fileLook{}, sqlLook{}
	p.mu.Unlock()
	children.Go(func() { d.loop(ctx, p.pokeFiles, d.lookAtFiles) })
	children.Go(func() { d.loop(ctx, p.pokeSQL, d.newAsker().look) })
	d.tell(ctx)
	cancel()
	p.mu.Lock()
	p.launch = nil
	p.mu.Unlock()
	children.Wait()
	p.mu.Lock()
	p.sink, p.current = nil, nil
	p.mu.Unlock()
	return ctx.Err()
}

// loop looks at once, when poked and after each interval.
func (d *Driver) loop(ctx context.Context, poked <-chan struct{}, look func(context.Context)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			look(ctx) // lets it put away what it holds
			return
		case <-poked:
		case <-timer.C:
		}
		look(ctx)
		poke(d.probe.changed)
		timer.Reset(d.interval())
	}
}

// tell puts observations together and hands them out: at once when anything but a position
// changed, when somebody asked, and after each period anyway.
func (d *Driver) tell(ctx context.Context) {
	var last events.Observation
	var told uint64
	first := true
	timer := time.NewTimer(d.config().ProbePeriod)
	defer timer.Stop()
	for {
		due := false
		select {
		case <-ctx.Done():
			return
		case <-d.probe.changed:
		case <-timer.C:
			due = true
		}
		o, answers := d.observation()
		if first && answers == 0 && !due {
			continue // the very first is told when both have looked, or when the period is over
		}
		settled := withoutProgress(o)
		if !due && answers <= told && !first && reflect.DeepEqual(settled, last) {
			continue
		}
		first, last, told = false, settled, max(told, answers)
		d.emit(events.PostgresObserved{Observation: o})
		timer.Reset(d.config().ProbePeriod)
	}
}

func (d *Driver) emit(f events.Fact) {
	d.probe.mu.Lock()
	sink := d.probe.sink
	d.probe.mu.Unlock()
	if sink == nil {
		return
	}
	d.probe.sinkMu.Lock()
	defer d.probe.sinkMu.Unlock()
	sink(f)
}

// observation is what is known now, and how many requests for a look it answers.
func (d *Driver) observation() (events.Observation, uint64) {
	now := d.config().Now()
	p := &d.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	o := events.Observation{Sampled: p.files.begun, Data: p.files.data, Problem: p.files.problem, Control: p.files.control}
	if p.files.busy != 0 && now.Sub(p.files.busy) > fileStall {
		o.Data, o.Control = events.DataUnknown, events.Control{}
		o.Problem = fmt.Sprintf("the data directory has not answered for %v", now.Sub(p.files.busy).Round(time.Second))
	}
	answers := min(p.files.done, p.sql.done)
	if p.current == nil || d.private.Load() {
		return o, answers
	}
	o.Running, o.PID = true, p.current.pid
	stuck := p.sql.busy != 0 && now.Sub(p.sql.busy) > sqlStall
	mine := p.sql.pid == p.current.pid
	if mine && p.sql.ok && !stuck {
		o.Answering, o.Sampled = true, min(p.files.begun, p.sql.begun)
		o.Server = cloneServer(p.sql.server)
		return o, answers
	}
	since := p.current.since
	if mine && p.sql.answeredAt > since {
		since = p.sql.answeredAt
	}
	o.NoAnswerFor = max(now.Sub(since), 1)
	o.Starting = mine && p.sql.starting && !stuck
	o.Rejecting = mine && p.sql.rejecting && !stuck
	if o.Problem == "" && mine && !o.Starting {
		o.Problem = p.sql.problem
	}
	return o, answers
}

func cloneServer(s events.Server) events.Server {
	s.Walsenders, s.Slots, s.PendingRestart = slices.Clone(s.Walsenders), slices.Clone(s.Slots), slices.Clone(s.PendingRestart)
	return s
}

// withoutProgress is the observation without what moves all the time.
func withoutProgress(o events.Observation) events.Observation {
	o.NoAnswerFor, o.Sampled = 0, 0
	o.Server = cloneServer(o.Server)
	s := &o.Server
	s.FlushLSN, s.ReceivedLSN, s.ReplayedLSN, s.LatestEndLSN, s.ReplayedAt = 0, 0, 0, 0, ""
	for i := range s.Walsenders {
		s.Walsenders[i].FlushLSN = 0
	}
	for i := range s.Slots {
		s.Slots[i].RestartLSN = 0
	}
	o.Control.CheckpointLSN, o.Control.MinRecoveryLSN = 0, 0
	return o
}
