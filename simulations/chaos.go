package simulations

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
)

// Chaos is one cluster's bad day: settings drawn from a seed, then faults at random moments, many of them just when a
// member is in the middle of something, with the judges watching. In the end everything is healed, and the cluster
// has to be healthy within a bound and to stay so.
type Chaos struct {
	*World
	// Settings in force, as the last good document that was written.
	ttl, loopWait, retry time.Duration
	doc                  map[string]any

	troubled events.Instant // when the store had the last trouble of its kind
	said     int            // what was told, faults among it
	quiet    bool           // no faults for a moment
	until    events.Instant // of the faults
	every    time.Duration  // between two of them, zero: a bad day's
	leftover int            // faults that may still be planned for tender moments
	mayWipe  bool
	proxy    *proxy
	wiped    bool // what the store had acknowledged was lost
	faults   []func(m *Member)
	core     []*Member     // healed first, while all others stay broken; nil before and afterwards
	longest  time.Duration // ttl that was in force: a lease of its time may stand yet
	// Explained are the reasons for which no leader, or a member's rest, is right: what is true, and the rule that says so.
	Explained []string
	resumed   bool     // it began in the middle of what was recorded
	leftOut   []string // what of that could not be represented
	refused   error    // why it cannot begin there at all
}

// ChaosSettings say which bad day.
type ChaosSettings struct {
	Seed  uint64
	Tape  *kernel.Tape // instead of Seed, when it is not nil
	Store string       // the kind of store
	For   time.Duration
	// Members is how many there are; zero: drawn.
	Members int
	// Every is the mean time between two drawn faults, and there are no more tender ones than drawn ones. Zero is a bad day: one every few seconds.
	Every time.Duration
	// Wipes lets a store lose what it had acknowledged, where that is a trouble of its kind. What must hold then is judged in part only.
	Wipes bool
	// Mutant makes all agents wrong, to see whether that is noticed.
	Mutant *Mutant
	// From is where the day begins, instead of with a drawn cluster, when it is not nil.
	From *Moment
	// OnInput is the world's.
	OnInput func(member string, in events.Input, d *events.Decision)
}

// NewChaos draws a cluster, whose faults last for some time.
func NewChaos(set ChaosSettings) *Chaos {
	if set.From != nil {
		return resumeChaos(set)
	}
	w := New(Settings{Seed: set.Seed, Tape: set.Tape, Store: set.Store, Mutant: set.Mutant})
	c := &Chaos{World: w, doc: map[string]any{}, every: set.Every, mayWipe: set.Wipes}
	members := 2 + c.pick("members", 3)
	if set.Members != 0 {
		members = set.Members
	}
	if c.pick("guard preferred", 4) == 3 {
		w.set.Guard = "preferred"
	}
	c.drawTiming()
	c.doc["primary_start_timeout"] = []int{300, 0}[c.pick("primary_start_timeout", 2)]
	c.doc["maximum_lag_on_failover"] = []int{1 << 20, 1024}[c.pick("a small maximum_lag_on_failover", 4)/3]
	c.doc["postgresql"] = map[string]any{"use_pg_rewind": c.pick("no pg_rewind", 5) < 4,
		"remove_data_directory_on_diverged_timelines": c.pick("discard diverged data", 3) == 2}
	w.set.Config = c.document()
	for i := range members {
		m := newMember(w, fmt.Sprintf("n%d", i+1))
		if i > 1 && c.pick("nofailover", 4) == 3 {
			m.Tags.NoFailover = true
		}
		w.members = append(w.members, m)
	}
	c.drawClocks()
	c.leftover = 10 + c.pick("faults at tender moments", 40)
	switch {
	case c.every != 0:
		c.leftover = min(c.leftover, int(set.For/c.every))
	case c.pick("a calm day", 8) == 7:
		w.calm, c.leftover = true, 0
	}
	c.until = w.Now().Add(set.For)
	c.onStep, w.OnInput = c.tender, set.OnInput
	c.proxy = newProxy(c.World)
	return c
}

// LeftOut is what of a recording this day could not begin with.
func (c *Chaos) LeftOut() []string { return c.leftOut }

// Refused is why a day cannot begin with a recording at all, nil if it can.
func (c *Chaos) Refused() error { return c.refused }

// pick draws one of n from the choices of the schedule; time draws one below d.
func (c *Chaos) pick(label string, n int) int { return c.schedule.Pick(label, n) }

func (c *Chaos) time(label string, d time.Duration) time.Duration {
	return kernel.Between(c.schedule, label, 0, d)
}

// anyone draws a member.
func (c *Chaos) anyone() *Member { return c.members[c.pick("whom", len(c.members))] }

func (c *Chaos) drawTiming() {
	least := max(int(c.store.Limits().MinTTL/time.Second), 3)
	ttl := least + c.pick("ttl", 28)
	if c.pick("a short ttl", 2) == 1 {
		ttl = least + c.pick("ttl", 5)
	}
	c.ttl = time.Duration(ttl) * time.Second
	c.longest = max(c.longest, c.ttl)
	c.loopWait = time.Duration(1+c.pick("loop_wait", 10)) * time.Second
	c.retry = time.Duration(1+c.pick("retry_timeout", 10)) * time.Second
	if c.every != 0 && c.pick("another timing than the default", 4) < 3 {
		d := events.DefaultSettings()
		c.ttl, c.loopWait, c.retry = d.TTL, d.LoopWait, d.RetryTimeout
	}
	c.doc["ttl"], c.doc["loop_wait"], c.doc["retry_timeout"] = int(c.ttl.Seconds()), int(c.loopWait.Seconds()), int(c.retry.Seconds())
}

func (c *Chaos) document() string {
	b, err := json.Marshal(c.doc)
	if err != nil {
		panic("chaos: " + err.Error()) // it holds only texts and numbers
	}
	return string(b)
}

func (c *Chaos) say(format string, args ...any) {
	c.said++
	c.trace.add(entry{at: c.Now(), text: fmt.Sprintf(format, args...)})
}

// Run lets everything happen and tells what is wrong, empty if nothing.
func (c *Chaos) Run() []string {
	if !c.resumed {
		for _, m := range c.members {
			c.after(c.time("start", 2*time.Second), m.Start)
		}
	}
	if !c.resumed && c.pick("bad from the beginning", 5) < 4 {
		tender := c.leftover
		c.leftover = 0
		if !c.RunUntil(2*time.Minute, c.Healthy) {
			c.breaks("L1: the cluster did not come up")
			return c.Broken
		}
		c.leftover = tender
	}
	if !c.calm {
		c.drawFaults()
	}
	if !c.calm || c.pick("a day without faults", 4) < 3 {
		c.plan()
	}
	for c.Now() < c.until && !c.spoiled() {
		c.World.Run(time.Second)
	}
	if c.spoiled() {
		return c.Broken
	}
	led := c.demandCore()
	if !c.spoiled() {
		c.heal()
		c.demandHealth(led)
	}
	return c.Broken
}

// spoiled tells that an invariant was broken, be it out of contract: what comes after that proves nothing.
func (c *Chaos) spoiled() bool { return len(c.Broken)+len(c.Excused) > 0 }

func (c *Chaos) drawFaults() {
	if c.every != 0 {
		c.Faults = SmallFaults
		return
	}
	rare := func() int { return []int{0, 0, 3, 20}[c.pick("how often", 4)] }
	c.Faults = Faults{
		LostRequest: rare(), LostAnswer: rare(), LateRequest: rare(), LateAnswer: rare(), Refused: rare() * 5,
		SlowPeer: rare() * 3, FailedEffect: rare() * 2, SlowEffect: rare() * 4, LateLook: rare() * 3,
	}
}

// heal repairs everything that a person would repair.
func (c *Chaos) heal() {
	c.say("everything is healed")
	c.core = nil
	c.Faults = Faults{}
	c.healStore()
	c.healMembers(c.members)
	delete(c.doc, "pause")
	c.Put(events.KeyFailover, "{}")
	c.Put(events.KeyConfig, c.document())
}

func (c *Chaos) healStore() {
	c.store.Join()
	c.SetStore(true)
	for i := range c.store.Servers() {
		c.store.Thaw(i)
	}
	if left := c.troubled.Add(troublesLast).Sub(c.Now()); c.troubled != 0 && left > 0 {
		c.World.Run(left) // troubles of the store itself end by themselves
	}
}

// troublesLast is the longest that a store's own trouble disturbs what it is asked.
const troublesLast = 30 * time.Second

// healMembers repairs some members and waits until they work and reach the store.
func (c *Chaos) healMembers(members []*Member) {
	c.healLinks()
	for _, m := range members {
		c.healMember(m)
	}
	c.World.Run(3 * time.Second) // all that was under way has come
	c.startAgain(members)
	c.RunUntil(time.Minute, func() bool { return c.connected(members) })
}

// startAgain starts agents that have ended: they were asked to, and may have needed long for it.
func (c *Chaos) startAgain(members []*Member) {
	for _, m := range members {
		if !m.alive {
			m.Exit = -1
			m.Start()
		}
	}
	c.World.after(time.Second, func() { c.startAgain(members) })
}

func (c *Chaos) healMember(m *Member) {
	m.doom = nil
	m.Wake()
	m.line.heal()
	m.pg.SetDisk(postgres.DiskWell)
	m.pg.SlowFsync(0)
	m.StallLog(false)
	m.Isolate(false)
	m.pg.Resume()
	m.pg.BlindProbe(false)
	switch {
	case !m.alive && !m.guard.alive:
		m.Exit = -1
		m.Boot()
	case !m.alive:
		m.Exit = -1
		m.Start()
	case m.frozen:
		m.Thaw()
	}
}

// Story is the end of what happened, at most so many lines, and how things stand.
func (c *Chaos) Story(lines int) string {
	return strings.Join(c.Trace(lines), "\n") + "\n" + c.stand()
}

func (c *Chaos) stand() string {
	var b strings.Builder
	fmt.Fprintf(&b, "guard %s, config %s, members %d\n", c.set.Guard, c.document(), len(c.members))
	for _, m := range c.members {
		state := "dead"
		if m.alive {
			state = m.State()
		}
		p, o := m.pg, m.pg.Observe()
		fmt.Fprintf(&b, "%s frozen %v cut %v guard %v/%v/%v pg data %v half %v running %v starting %v recovery %v "+
			"control %q tl %d lsn %v streaming %v from %q (%s) busy %q nofailover %v| %s\n",
			m.name, m.frozen, m.line.noRequests, m.guard.alive, m.guard.deadline.Sub(m.now()), m.guard.fired,
			o.Data, p.HalfRewound(), p.Running(), o.Starting, p.Recovering(), o.Control.State, p.Timeline(), p.LSN(),
			p.Streaming(), p.Upstream(), p.Refusal(), p.Busy(), m.Tags.NoFailover, state)
	}
	fmt.Fprintf(&b, "%s leader key %q\n", c.clock(), c.LeaderKey())
	return b.String()
}
