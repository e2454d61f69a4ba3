package replaytest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
	"github.com/regent-ha/regent/simulations/replay"
)

// Recorder writes the logs of a world.
type Recorder struct {
	// Dir gets a directory for each member, of its name.
	Dir string
	// Clocks is how far each host's boot clock is ahead of the world's. Wall clocks are the world's: what is scheduled depends on them.
	Clocks map[string]time.Duration
	// Change, if set, doctors a fact before it is decided on and recorded.
	Change func(member string, in *events.Input)
	// Decide, if set, doctors what was decided.
	Decide func(member string, in events.Input, d *events.Decision)
	// Leave, if set, tells that a step is not written.
	Leave func(member string, in events.Input) bool

	// Differs is the first decision of the recorder's own engine that was not the world's, empty if there was none.
	Differs string

	logs []*memberLog
}

type memberLog struct {
	member  string
	engine  *engine.Engine
	records []eventlog.Record
}

// Step takes a step; it has the signature of a world's OnInput.
func (r *Recorder) Step(member string, in events.Input, world *events.Decision) {
	l := r.log(member)
	if _, starts := in.Fact.(events.Started); starts {
		l.engine = engine.New(engine.Options{HashStates: true})
	}
	in = replay.ShiftInput(in, r.Clocks[member])
	if r.Change != nil {
		r.Change(member, &in)
	}
	d := l.engine.Step(in)
	if r.Differs == "" && (d.From != world.From || d.To != world.To || d.Rule != world.Rule || d.Why != world.Why || len(d.Effects) != len(world.Effects)) {
		r.Differs = fmt.Sprintf("%s, input %d (%s): %+v in the world, and %+v by its own clock", member, in.Seq, in.Fact.FactKind(), *world, d)
	}
	if r.Decide != nil {
		r.Decide(member, in, &d)
	}
	if r.Leave != nil && r.Leave(member, in) {
		return
	}
	l.records = append(l.records, eventlog.OfInput(in), eventlog.OfDecision(&d, in.Wall))
}

func (r *Recorder) log(member string) *memberLog {
	for _, l := range r.logs {
		if l.member == member {
			return l
		}
	}
	l := &memberLog{member: member}
	r.logs = append(r.logs, l)
	return l
}

// Write writes the logs and returns their directories.
func (r *Recorder) Write() ([]string, error) {
	var dirs []string
	for _, l := range r.logs {
		dir := filepath.Join(r.Dir, l.member)
		if err := l.write(dir); err != nil {
			return nil, fmt.Errorf("write the log of %s: %w", l.member, err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

func (l *memberLog) write(dir string) error {
	w, _, err := eventlog.Open(dir, eventlog.Options{Member: l.member, Version: "sim", Queue: len(l.records) + 8, SyncEvery: -1})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }() // joined below
	for _, rec := range l.records {
		w.Append(rec)
	}
	sync, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	err = w.Sync(sync)
	end()
	return errors.Join(err, <-ran)
}
