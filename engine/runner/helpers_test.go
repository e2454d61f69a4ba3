package runner

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// rig is a runner whose recorder, executor and observer write down in one list what they were told, in order.
type rig struct {
	*Runner
	t     *testing.T
	begin time.Time
	last  *engine.Status // that was observed; belongs to the loop

	mu      sync.Mutex
	told    []string
	effects []events.Effect
	begun   []events.Instant // of each of effects
	inputs  []events.Input
	wakeAt  events.Instant // as of the last decision

	// do answers an effect, from within Do. May be nil.
	do func(events.Effect)
	// syncing is what Recorder.Sync does. Nil: it returns at once.
	syncing func(context.Context) error

	cancel context.CancelFunc
	ended  chan struct{}
	code   int
	err    error
}

const bootTime = events.Instant(1e12)

func newRig(t *testing.T) *rig {
	r := &rig{t: t, begin: time.Now(), ended: make(chan struct{})}
	r.Runner = New(Config{
		Engine: engine.New(engine.Options{HashStates: true}), Recorder: r, Executor: r,
		Now: r.now, Wall: time.Now,
		Observe: func(in events.Input, d *events.Decision, s *engine.Status) {
			r.note("observe %d published=%v", in.Seq, r.Status() == s)
			r.last = s
			r.mu.Lock()
			defer r.mu.Unlock()
			r.wakeAt = d.WakeAt
		},
	})
	r.last = r.Status()
	return r
}

func (r *rig) now() events.Instant { return bootTime.Add(time.Since(r.begin)) }

func (r *rig) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *rig) Record(in events.Input, d *events.Decision) {
	r.note("record %d published=%v", in.Seq, r.Status() != r.last)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inputs = append(r.inputs, in)
}

func (r *rig) Sync(ctx context.Context) error {
	r.note("sync")
	if r.syncing == nil {
		return nil
	}
	return r.syncing(ctx)
}

func (r *rig) Do(e events.Effect) {
	r.note("do %s", e.Action.ActionKind())
	r.mu.Lock()
	r.effects = append(r.effects, e)
	r.begun = append(r.begun, r.now())
	r.mu.Unlock()
	if r.do != nil {
		r.do(e)
	}
}

// start runs the loop; stop, or the test's end, joins it.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { // joined by stop
		defer close(r.ended)
		r.code, r.err = r.Run(ctx)
	}()
	r.t.Cleanup(r.stop)
}

func (r *rig) stop() {
	r.cancel()
	<-r.ended
}

func (r *rig) post(facts ...events.Fact) {
	for _, f := range facts {
		r.Post(events.Redact(f))
	}
}

// await waits for a picture, for real time.
func (r *rig) await(what string, ok func(*engine.Status) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := r.Wait(ctx, ok); err != nil {
		r.t.Fatalf("%s: %v; it is %s: %s", what, err, r.Status().State, r.Status().Why)
	}
}

func (r *rig) saw(kind events.ActionKind) (found []events.Effect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.effects {
		if e.Action.ActionKind() == kind {
			found = append(found, e)
		}
	}
	return found
}

// doneAt is when an effect was handed out.
func (r *rig) doneAt(id uint64) events.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun[slices.IndexFunc(r.effects, func(e events.Effect) bool { return e.ID == id })]
}

func (r *rig) wakes() events.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wakeAt
}

func (r *rig) consumed() []events.Input {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.inputs)
}

func (r *rig) log() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

// The facts of a replica n1 whose leader n2 has just lost the lease.

func started() events.Started {
	return events.Started{Version: "test", Member: events.MemberConfig{
		Name: "n1", Scope: "demo", APIURL: "http://127.0.0.1:8008/patroni", ConnURL: "postgres://127.0.0.1:5432/postgres",
		GuardPolicy: "off", Bootstrap: []byte(`{"loop_wait":10,"retry_timeout":10,"ttl":30}`),
	}}
}

func snapshot(revision uint64, leader string) events.DCSSnapshot {
	s := events.DCSSnapshot{Revision: revision, Keys: []events.KeyValue{
		{Key: events.KeyConfig, Value: `{"loop_wait":10,"retry_timeout":10,"ttl":30}`, Revision: 1},
		{Key: events.KeyInitialize, Value: "7001", Revision: 2},
	}}
	if leader != "" {
		s.Keys = append(s.Keys, events.KeyValue{Key: events.KeyLeader, Value: leader, Revision: 3})
	}
	return s
}

func replica(sampled events.Instant) events.PostgresObserved {
	return events.PostgresObserved{Observation: events.Observation{
		Sampled: sampled, Data: events.DataPresent, Running: true, PID: 77, Answering: true,
		Server:  events.Server{InRecovery: true, Timeline: 1, ReceivedLSN: 1000, ReplayedLSN: 1000, ReplicationState: "streaming", Version: 150000},
		Control: events.Control{SystemID: "7001", State: "in archive recovery", Timeline: 1, StandbySignal: true, VersionMajor: 15},
	}}
}

func leaderGone(revision uint64) events.DCSChange {
	return events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyLeader, Revision: revision}, Deleted: true}
}

// answer ends an effect that is not about the lease.
func answer(e events.Effect, at events.Instant) events.EffectFinished {
	return events.EffectFinished{Effect: e.ID, Ended: at, Action: e.Action.ActionKind(), Outcome: events.Done}
}
