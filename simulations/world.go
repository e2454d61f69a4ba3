package simulations

import (
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/coverage"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
	"github.com/regent-ha/regent/simulations/stores"
)

// epochWall is the wall clock's reading when virtual time is zero.
var epochWall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Settings of a world.
type Settings struct {
	Seed uint64
	// Tape is where choices come from, instead of Seed, when it is not nil.
	Tape    *kernel.Tape
	Members int
	// Config is the dynamic configuration of the cluster, JSON.
	Config string
	// Guard is the guard policy of every member, required if empty.
	Guard string
	// Store is the kind of store, etcd if empty, and StoreServers how many servers it has, three if zero.
	Store        string
	StoreServers int
	// Mutant makes all agents wrong. Nil: they are what they are.
	Mutant *Mutant
	// WriteEach is the time between two commits of the clients, a second if zero.
	WriteEach time.Duration
	// NoArchive leaves out the archive of WAL. Without one two members that are promoted apart may choose the same number for their
	// timelines, and if they left the old one at the same position nothing but the WAL itself tells them apart.
	NoArchive bool
	// Begin is when the world begins, kernel.Begin if zero, and Wall what wall clocks show then.
	Begin events.Instant
	Wall  time.Time
}

// World is everything there is. Its methods may be called between calls of Run, by one goroutine.
type World struct {
	k       *kernel.Kernel
	store   stores.Model
	net     *network
	servers *postgres.Cluster
	clients *clients
	members []*Member
	set     Settings

	// The streams of choices that are not a model's own.
	hosts, schedule *kernel.Domain

	// Faults that happen by themselves.
	Faults Faults
	// Quiet stops the clients' writes.
	Quiet bool
	// Broken lists what a judge or an engine found wrong; it stays empty in a sound run.
	Broken []string
	// Excused lists what judges found in a run that is out of their contract, which Outside says.
	Excused []string
	Outside []OutOfContract
	trace   trace
	// Counts are what has been seen of rules, effects, the store and faults.
	Counts coverage.Counts
	hash   digest
	Steps  int
	// Failovers counts how often a member came to lead that did not lead last.
	Failovers  int
	lastLeader *Member
	// OnInput, if set, is told what a member's engine took in and what it decided, before that is performed.
	OnInput func(member string, in events.Input, d *events.Decision)

	calm      bool           // nothing happens but faults that are counted
	injected  int            // faults so far, where they are counted
	wipedAt   events.Instant // when the store last lost what it had acknowledged
	atOnce    int            // events of this instant
	operators operators
	judges    bench
	onStep    func(*Member, *events.Decision) // watches every decision before it is performed
}

// New makes a world of empty members, whose agents have not started yet.
func New(set Settings) *World {
	if set.Guard == "" {
		set.Guard = "required"
	}
	if set.Store == "" {
		set.Store = "etcd"
	}
	if set.StoreServers == 0 {
		set.StoreServers = 3
	}
	if set.Tape == nil {
		set.Tape = kernel.Seeded(set.Seed)
	}
	if set.Begin == 0 {
		set.Begin, set.Wall = kernel.Begin, epochWall.Add(time.Duration(kernel.Begin))
	}
	w := &World{k: kernel.NewAt(set.Tape, set.Begin), set: set, hash: digestBegin}
	w.hosts, w.schedule = w.k.Domain("hosts"), w.k.Domain("schedule")
	w.net = newNetwork(w)
	w.operators = operators{w: w, orders: map[string]events.Instant{}}
	w.judges.appoint(newJudges(w))
	w.servers = postgres.NewCluster(postgres.Host{Env: w.k.Domain("postgres"), Reaches: w.reaches, Refuses: w.refuses, Late: w.late, Exited: w.exited})
	w.servers.Archive = !set.NoArchive
	w.clients = newClients(w)
	w.store = newStore(set.Store, w.k.Domain("store"), set.StoreServers)
	for i := range set.Members {
		w.members = append(w.members, newMember(w, fmt.Sprintf("n%d", i+1)))
	}
	return w
}

// exited tells an agent of the end of its postmaster, in an event of its own.
func (w *World) exited(server string, f events.PostgresExited) { w.Member(server).postAfter(0, f) }

// Now is true time.
func (w *World) Now() events.Instant { return w.k.Now() }

// wall is what wall clocks show.
func (w *World) wall() time.Time { return w.set.Wall.Add(w.Now().Sub(w.set.Begin)) }

// after plans something d later.
func (w *World) after(d time.Duration, do func()) { w.k.After(d, do) }

// around draws a time near d, from half of it to one and a half.
func around(d *kernel.Domain, label string, mean time.Duration) time.Duration {
	return kernel.Between(d, label, mean/2, 3*mean/2)
}

// Run lets d of virtual time pass.
func (w *World) Run(d time.Duration) {
	for end := w.Now().Add(d); w.next(end); {
	}
}

// RunUntil lets time pass until ok holds, for at most d; it tells whether it does.
func (w *World) RunUntil(d time.Duration, ok func() bool) bool {
	for end := w.Now().Add(d); !ok(); {
		if !w.next(end) {
			return ok()
		}
	}
	return true
}

// mostAtOnce is how many events of one instant are taken for a loop in which no time passes. Such a world goes no further.
const mostAtOnce = 100_000

// next lets the next thing happen, and judges.
func (w *World) next(end events.Instant) bool {
	w.servers.Faults = postgres.Faults{Fail: w.Faults.FailedEffect, Slow: w.Faults.SlowEffect}
	before := w.Now()
	if w.atOnce > mostAtOnce || !w.k.Next(end) {
		return false
	}
	if w.atOnce++; w.Now() != before {
		w.atOnce = 0
	} else if w.atOnce > mostAtOnce {
		w.breaks("T1: time stands still: events bring forth events at one instant")
	}
	w.judges.event(w.members)
	return true
}

func (w *World) breaks(text string) {
	line := fmt.Sprintf("%s %s", w.clock(), text)
	for _, o := range w.Outside {
		if o.Invariant == invariantOf(line) {
			w.Excused = append(w.Excused, line+" (out of contract: "+o.Why+")")
			return
		}
	}
	if len(w.Broken) < 20 {
		w.Broken = append(w.Broken, line)
	}
}

// OutOfContract says that a fault of this run is one for which an invariant is not promised.
type OutOfContract struct {
	Invariant string `json:"invariant"`
	Why       string `json:"why"`
}

func (w *World) outOfContract(invariant, why string) {
	w.Outside = append(w.Outside, OutOfContract{invariant, why})
}

func (w *World) clock() string { return clock(w.Now()) }

func clock(at events.Instant) string { return fmt.Sprintf("%9.3f", at.Sub(kernel.Begin).Seconds()) }

// note folds a decision into the run's hash and its trace.
func (w *World) note(m *Member, in *events.Input, d *events.Decision) {
	w.Steps++
	w.Counts.Decision(d)
	w.Counts.Fact(in.Fact)
	if d.Changed() {
		w.hash.decision(d)
	}
	if w.OnInput != nil {
		w.OnInput(m.name, *in, d)
	}
	for _, j := range w.judges.steps {
		j.step(m, in, d)
	}
	if w.onStep != nil {
		w.onStep(m, d)
	}
	if d.To == engine.Leading && w.lastLeader != m {
		if w.lastLeader != nil {
			w.Failovers++
		}
		w.lastLeader = m
	}
	if d.From != d.To {
		w.trace.add(entry{at: w.Now(), member: m.name, from: d.From, to: d.To, fired: slices.Clone(d.Fired)})
	}
	for _, b := range d.Broken {
		w.breaks(fmt.Sprintf("%s, in %s on %s: %s", m.name, d.From, in.Fact.FactKind(), b))
	}
}

// Fired is how often a rule acted or held.
func (w *World) Fired(rule events.RuleID) uint64 { return w.Counts.Rule(rule) }

// struck counts a fault that strikes a member now, or all of them.
func (w *World) struck(f coverage.Fault, members ...*Member) {
	for _, m := range members {
		state := coverage.Down
		if m.alive {
			state = m.engine.State()
		}
		w.Counts.Strike(f, state)
	}
}

// Hash digests all decisions of the run.
func (w *World) Hash() uint64 { return uint64(w.hash) }

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
		if m.alive && m.engine.State() == engine.Leading && m.pg.Writable() {
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
		if m != leader && !(m.alive && m.engine.State() == engine.Following && m.pg.Streaming()) {
			return false
		}
	}
	return true
}
