package simulations

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// epochWall is the wall clock's reading when virtual time is zero.
var epochWall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Settings of a world.
type Settings struct {
	Seed    uint64
	Members int
	// Config is the dynamic configuration of the cluster, JSON.
	Config string
	// Guard is the guard policy of every member, required if empty.
	Guard string
}

// World is everything there is. Its methods may be called between calls of Run, by one goroutine.
type World struct {
	now     events.Instant
	seq     uint64
	agenda  agenda
	rand    *rand.Rand
	store   *store
	members []*Member
	set     Settings

	// Faults that happen by themselves.
	Faults Faults
	// Quiet stops the clients' writes.
	Quiet bool
	// Broken lists what a judge or an engine found wrong; it stays empty in a sound run.
	Broken []string
	// Trace is a line for each step of a lifecycle.
	Trace []string
	// Fired counts how often each rule acted or held.
	Fired map[events.RuleID]int
	hash  uint64
	Steps int
	// OnInput, if set, is told what a member's engine took in and what it decided, before that is performed.
	OnInput func(member string, in events.Input, d *events.Decision)

	systems int                             // clusters that were created
	onStep  func(*Member, *events.Decision) // watches every decision before it is performed
	onEvent func()                          // watches after every event
}

// event is something that will happen at an instant; those of one instant happen in the order of their making.
type event struct {
	at  events.Instant
	seq uint64
	do  func()
}

type agenda []event

// The methods of heap.Interface. Only events are ever pushed.
func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any) {
	if e, ok := x.(event); ok {
		*a = append(*a, e)
	}
}
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// New makes a world of empty members, whose agents have not started yet.
func New(set Settings) *World {
	if set.Guard == "" {
		set.Guard = "required"
	}
	w := &World{now: events.Instant(time.Hour), rand: rand.New(rand.NewPCG(set.Seed, 1)), set: set, Fired: map[events.RuleID]int{}, hash: 14695981039346656037}
	w.store = newStore(w)
	for i := range set.Members {
		w.members = append(w.members, newMember(w, fmt.Sprintf("n%d", i+1)))
	}
	return w
}

// newSystemID is what initdb draws.
func (w *World) newSystemID() string {
	w.systems++
	return fmt.Sprintf("70000000000000000%02d", w.systems)
}

// after plans something d later.
func (w *World) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, event{w.now.Add(d), w.seq, do})
}

// jitter draws a latency around d.
func (w *World) jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(w.rand.Int64N(int64(d)))
}

// Run lets d of virtual time pass.
func (w *World) Run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.agenda) > 0 && w.agenda[0].at <= end {
		w.next()
	}
	w.now = end
}

// RunUntil lets time pass until ok holds, for at most d; it tells whether it does.
func (w *World) RunUntil(d time.Duration, ok func() bool) bool {
	end := w.now.Add(d)
	for !ok() {
		if len(w.agenda) == 0 || w.agenda[0].at > end {
			return false
		}
		w.next()
	}
	return true
}

// next lets the next thing happen, and judges.
func (w *World) next() {
	e := w.agenda[0]
	heap.Pop(&w.agenda)
	w.now = e.at
	e.do()
	w.judge()
	if w.onEvent != nil {
		w.onEvent()
	}
}

// judge is S1: at no instant do two servers accept writes.
func (w *World) judge() {
	var first *Member
	for _, m := range w.members {
		switch {
		case !m.pg.writable():
		case first == nil:
			first = m
		default:
			w.breaks(fmt.Sprintf("S1: %s and %s accept writes at once", first.name, m.name))
		}
	}
}

func (w *World) breaks(text string) {
	if len(w.Broken) < 20 {
		w.Broken = append(w.Broken, fmt.Sprintf("%s %s", w.clock(), text))
	}
}

func (w *World) clock() string {
	return fmt.Sprintf("%9.3f", w.now.Sub(events.Instant(time.Hour)).Seconds())
}

// note folds a decision into the run's hash and its trace.
func (w *World) note(m *Member, in events.Input, d *events.Decision) {
	w.Steps++
	for _, f := range d.Fired {
		w.Fired[f.Rule]++
	}
	w.Fired[d.Rule]++
	if d.Changed() {
		h := fnv.New64a()
		if err := json.NewEncoder(h).Encode(d); err != nil {
			w.breaks("encode decision: " + err.Error())
		}
		w.hash = (w.hash ^ h.Sum64()) * 1099511628211
	}
	if w.OnInput != nil {
		w.OnInput(m.name, in, d)
	}
	if w.onStep != nil {
		w.onStep(m, d)
	}
	if d.From != d.To {
		w.Trace = append(w.Trace, fmt.Sprintf("%s %-3s %-13s -> %-13s %s", w.clock(), m.name, d.From, d.To, lastLifecycle(d)))
	}
	for _, b := range d.Broken {
		w.breaks(fmt.Sprintf("%s, in %s on %s: %s", m.name, d.From, in.Fact.FactKind(), b))
	}
}

// lastLifecycle tells the rows that acted.
func lastLifecycle(d *events.Decision) string {
	var b strings.Builder
	for _, f := range d.Fired {
		if strings.HasPrefix(string(f.Rule), "PU") || strings.HasPrefix(string(f.Rule), "LE") {
			continue
		}
		fmt.Fprintf(&b, "%s %s; ", f.Rule, f.Why)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// Hash digests all decisions of the run.
func (w *World) Hash() uint64 { return w.hash }

// Member finds a member by name.
func (w *World) Member(name string) *Member {
	for _, m := range w.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// Leader is the member that is in state leading, nil if there is none or more than one.
func (w *World) Leader() *Member {
	var found *Member
	for _, m := range w.members {
		if m.alive && m.engine.State() == engine.Leading && m.pg.writable() {
			if found != nil {
				return nil
			}
			found = m
		}
	}
	return found
}

// Healthy tells that there is one leader and that all other members follow it.
func (w *World) Healthy() bool {
	leader := w.Leader()
	if leader == nil {
		return false
	}
	for _, m := range w.members {
		if m != leader && !(m.alive && m.engine.State() == engine.Following && m.pg.streaming) {
			return false
		}
	}
	return true
}
