package simulations

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Chaos is one cluster's bad day: settings drawn from a seed, then faults at random moments, many of them just when a
// member is in the middle of something, with the judges watching. In the end everything is healed, and the cluster
// has to be healthy within a bound and to stay so.
type Chaos struct {
	*World
	// Log tells the faults, in the words of Trace.
	Log []string
	// Settings in force, as the last good document that was written.
	ttl, loopWait, retry time.Duration
	doc                  map[string]any

	paused   bool
	quiet    bool           // no faults for a moment
	until    events.Instant // of the faults
	leftover int            // faults that may still be planned for tender moments
	judges   judges
}

// NewChaos draws a cluster from a seed. Faults last for d.
func NewChaos(seed uint64, d time.Duration) *Chaos {
	set := Settings{Seed: seed, Members: 1}
	w := New(set)
	c := &Chaos{doc: map[string]any{}}
	w.set.Members = 2 + w.rand.IntN(3)
	if w.rand.IntN(4) == 0 {
		w.set.Guard = "preferred"
	}
	c.World = w
	c.drawTiming()
	c.doc["primary_start_timeout"] = []int{0, 300}[w.rand.IntN(2)]
	c.doc["postgresql"] = map[string]any{"use_pg_rewind": w.rand.IntN(5) > 0, "remove_data_directory_on_diverged_timelines": w.rand.IntN(3) == 0}
	w.set.Config = c.document()
	w.members = w.members[:0]
	w.agenda = nil
	for i := range w.set.Members {
		m := newMember(w, fmt.Sprintf("n%d", i+1))
		if i > 1 && w.rand.IntN(4) == 0 {
			m.Tags.NoFailover = true
		}
		w.members = append(w.members, m)
	}
	c.leftover = 10 + w.rand.IntN(40)
	c.until = w.now.Add(d)
	c.watch()
	return c
}

func (c *Chaos) drawTiming() {
	c.ttl = time.Duration(3+c.rand.IntN(28)) * time.Second
	if c.rand.IntN(2) == 0 {
		c.ttl = time.Duration(3+c.rand.IntN(5)) * time.Second
	}
	c.loopWait = time.Duration(1+c.rand.IntN(10)) * time.Second
	c.retry = time.Duration(1+c.rand.IntN(10)) * time.Second
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
	line := c.clock() + " *** " + fmt.Sprintf(format, args...)
	c.Log = append(c.Log, line)
	c.Trace = append(c.Trace, line)
}

// Run lets everything happen and tells what is wrong, empty if nothing.
func (c *Chaos) Run() []string {
	for _, m := range c.members {
		m := m
		c.after(c.within(2*time.Second), m.Start)
	}
	if c.rand.IntN(5) > 0 { // else the day is bad from its beginning
		tender := c.leftover
		c.leftover = 0
		if !c.RunUntil(2*time.Minute, c.Healthy) {
			c.breaks("the cluster did not come up")
			return c.Broken
		}
		c.leftover = tender
	}
	c.drawFaults()
	c.plan()
	for c.now < c.until && len(c.Broken) == 0 {
		c.World.Run(time.Second)
	}
	if len(c.Broken) > 0 {
		return c.Broken
	}
	c.heal()
	c.demandHealth()
	return c.Broken
}

func (c *Chaos) drawFaults() {
	rare := func() int { return []int{0, 0, 3, 20}[c.rand.IntN(4)] }
	c.Faults = Faults{
		LostRequest: rare(), LostAnswer: rare(), LateRequest: rare(), Refused: rare() * 5, LateWatch: rare(),
		SlowPeer: rare() * 3, FailedEffect: rare() * 2, SlowEffect: rare() * 4, LateLook: rare() * 3,
	}
}

// plan sets the next fault, again and again until the time is over.
func (c *Chaos) plan() {
	pause := c.within(8 * time.Second)
	if c.rand.IntN(3) == 0 {
		pause = c.within(300 * time.Millisecond)
	}
	c.after(pause, func() {
		if c.now < c.until {
			c.fault(c.members[c.rand.IntN(len(c.members))])
			c.plan()
		}
	})
}

// tender plans a fault for a moment when a member is in the middle of something.
func (c *Chaos) tender(m *Member, d *events.Decision) {
	if c.now >= c.until || c.leftover == 0 || d.From == d.To {
		return
	}
	switch d.To {
	case engine.Campaigning, engine.Promoting, engine.Opening, engine.Adopting, engine.Switching, engine.Demoting, engine.Yielding,
		engine.Joining, engine.Rewinding, engine.Cloning, engine.Restarting, engine.Leading, engine.Fenced, engine.Bootstrapping:
	default:
		return
	}
	if c.rand.IntN(4) > 0 {
		return
	}
	c.leftover--
	soon := c.within(150 * time.Millisecond)
	if c.rand.IntN(4) == 0 { // when the lease is about to end
		if e := c.store.keys[events.KeyLeader]; e != nil && e.expires > c.now {
			soon = max(e.expires.Sub(c.now)-c.within(4*time.Second), 0)
		}
	}
	victim := m
	if c.rand.IntN(3) == 0 {
		victim = c.members[c.rand.IntN(len(c.members))]
	}
	c.after(soon, func() {
		if c.now < c.until {
			c.fault(victim)
		}
	})
}

// fenceable tells that something besides the agent would stop this PostgreSQL, or that it need not be stopped. The
// death of agent and guard at once is beyond what is promised (G7 of package fence).
func (c *Chaos) fenceable(m *Member) bool {
	return m.guardAlive && (!m.pg.running || m.pg.recovery && !c.promoting(m) || m.guardDeadline != 0 || c.paused) || !m.pg.running
}

func (c *Chaos) promoting(m *Member) bool { return m.alive && m.engine.State() == engine.Promoting }

// leaseEnd is a time around the end of the lease.
func (c *Chaos) aroundTTL() time.Duration {
	return c.ttl/2 + c.within(c.ttl)
}

func (c *Chaos) fault(m *Member) {
	if c.quiet {
		return
	}
	switch kind := c.rand.IntN(24); kind {
	case 0, 1:
		c.killAgent(m)
	case 2, 3:
		c.freeze(m)
	case 4, 5:
		if m.pg.running {
			c.say("the postmaster of %s is killed", m.name)
			m.CrashPostgres()
		}
	case 6:
		c.crashHost(m)
	case 7:
		if m.alive && !m.frozen && m.guardAlive {
			c.say("the guard of %s is killed", m.name)
			m.KillGuard()
		}
	case 8:
		if c.store.up {
			d := c.within(2 * c.ttl)
			c.say("the store is down for %v", d)
			c.SetStore(false)
			c.after(d, func() { c.SetStore(true) })
		}
	case 9, 10:
		if !m.storeCut {
			d := c.within(3 * c.ttl)
			c.say("%s is cut from the store for %v", m.name, d)
			c.Cut(m.name, true)
			c.after(d, func() { c.Cut(m.name, false) })
		}
	case 11:
		if !m.isolated {
			d := c.within(30 * time.Second)
			c.say("%s is isolated from the other members for %v", m.name, d)
			m.isolated = true
			c.after(d, func() { m.isolated = false })
		}
	case 12, 13, 14:
		c.switchover()
	case 15:
		c.pause()
	case 16, 17:
		c.editConfig()
	case 18:
		c.emptyData(m)
	case 19, 20:
		c.order(m)
	case 21:
		c.stopAgent(m)
	case 22:
		if m.pg.running && !m.pg.hung {
			d := c.within(20 * time.Second)
			pid := m.pg.pid
			c.say("PostgreSQL of %s hangs for %v", m.name, d)
			m.pg.hung = true
			c.after(d, func() {
				if m.pg.pid == pid {
					m.pg.hung = false
				}
			})
		}
	case 23:
		c.drawFaults()
		c.say("small faults: %+v", c.Faults)
	}
}

func (c *Chaos) killAgent(m *Member) {
	if !m.alive || m.frozen || !c.fenceable(m) {
		return
	}
	d := c.within(4 * time.Second)
	if c.rand.IntN(2) == 0 {
		d = c.aroundTTL()
	}
	c.say("the agent of %s is killed, for %v", m.name, d)
	m.Kill()
	run := m.run
	c.after(d, func() {
		if m.run == run {
			c.say("the agent of %s starts", m.name)
			m.Start()
		}
	})
}

func (c *Chaos) freeze(m *Member) {
	if !m.alive || m.frozen || !c.fenceable(m) {
		return
	}
	d := c.aroundTTL()
	c.say("the agent of %s is frozen for %v", m.name, d)
	m.Freeze()
	run := m.run
	c.after(d, func() {
		if m.run == run && m.frozen {
			c.say("the agent of %s thaws", m.name)
			m.Thaw()
		}
	})
}

func (c *Chaos) crashHost(m *Member) {
	d := c.within(2 * c.ttl)
	c.say("the host of %s crashes, for %v", m.name, d)
	m.KillAll()
	run := m.run
	c.after(d, func() {
		if m.run == run {
			c.say("the host of %s boots", m.name)
			m.Exit = -1
			m.Boot()
		}
	})
}

func (c *Chaos) stopAgent(m *Member) {
	if !m.alive || m.frozen || c.paused {
		return
	}
	d := 10*time.Second + c.within(20*time.Second)
	c.say("the agent of %s is asked to stop", m.name)
	m.Stop()
	c.after(d, func() {
		if !m.alive && m.Exit >= 0 {
			c.say("the agent of %s starts again", m.name)
			m.Exit = -1
			m.Start()
		}
	})
}

func (c *Chaos) switchover() {
	if !c.store.up {
		return
	}
	name := func() string { return c.members[c.rand.IntN(len(c.members))].name }
	r := map[string]string{}
	if c.rand.IntN(5) > 0 {
		r["leader"] = c.LeaderKey()
		if c.rand.IntN(4) == 0 {
			r["leader"] = name()
		}
	}
	if c.rand.IntN(3) > 0 || r["leader"] == "" {
		r["member"] = name()
		if c.rand.IntN(10) == 0 {
			r["member"] = "nosuch"
		}
	}
	if c.rand.IntN(5) == 0 {
		r["scheduled_at"] = epochWall.Add(time.Duration(c.now) + c.within(20*time.Second)).Format(time.RFC3339)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic("chaos: " + err.Error()) // it holds only texts
	}
	c.say("an operator writes failover %s", b)
	c.judges.moved = c.now
	c.judges.failover(r["leader"], r["member"])
	c.Put(events.KeyFailover, string(b))
}

// connected tells that every agent works and reaches the store. A pause disarms the guards, so that its end is
// dangerous when a primary cannot learn of it; operators are told to end it only then.
func (c *Chaos) connected() bool {
	for _, m := range c.members {
		if !m.alive || m.frozen || m.storeCut {
			return false
		}
	}
	return c.store.up
}

func (c *Chaos) pause() {
	if !c.connected() {
		return
	}
	c.paused = !c.paused
	c.doc["pause"] = c.paused
	c.say("an operator sets pause %v", c.paused)
	c.Put(events.KeyConfig, c.document())
	if !c.paused {
		c.unpause()
	}
}

// unpause waits until every member has left the pause: until then the guard of a primary may be disarmed, and
// further faults would prove nothing.
func (c *Chaos) unpause() {
	c.quiet = true
	var again func()
	again = func() {
		for _, m := range c.members {
			if m.alive && m.engine.State() == engine.Paused {
				c.after(100*time.Millisecond, again)
				return
			}
		}
		c.quiet = false
	}
	c.after(100*time.Millisecond, again)
}

func (c *Chaos) editConfig() {
	if !c.store.up {
		return
	}
	if c.rand.IntN(4) == 0 {
		bad := []string{`{"ttl":"soon"}`, `{`, `[]`, `null`, `{"ttl":1,"loop_wait":-3}`, `{"postgresql":7}`}[c.rand.IntN(6)]
		if !c.paused {
			c.say("an operator writes config %s", bad)
			c.Put(events.KeyConfig, bad)
		}
		return
	}
	c.drawTiming()
	c.say("an operator writes config %s", c.document())
	c.Put(events.KeyConfig, c.document())
}

// emptyData takes a member's data away, but never the last good copy.
func (c *Chaos) emptyData(m *Member) {
	if m.name == c.LeaderKey() || m.pg.writable() || !m.pg.data || c.copies(m) < 2 {
		return
	}
	c.say("the data directory of %s is emptied", m.name)
	m.pg.die()
	m.pg.data, m.pg.half = false, false
}

// copies are the other members that could lead with data as new as this one's.
func (c *Chaos) copies(than *Member) int {
	n := 0
	for _, m := range c.members {
		if m != than && m.pg.data && !m.pg.half && !m.Tags.NoFailover && m.pg.timeline >= than.pg.timeline {
			n++
		}
	}
	return n
}

func (c *Chaos) order(m *Member) {
	if !m.alive {
		return
	}
	r := events.OperatorRequest{ID: fmt.Sprint("o", c.rand.IntN(1e6)), Verb: events.AskRestart}
	if c.rand.IntN(3) == 0 {
		r.Verb, r.Force = events.AskReinitialize, c.rand.IntN(2) == 0
	}
	c.say("an operator asks %s for %s", m.name, r.Verb)
	c.judges.ordered(m, r.Verb)
	m.Ask(r)
}

// heal repairs everything that a person would repair.
func (c *Chaos) heal() {
	c.say("everything is healed")
	c.Faults = Faults{}
	if !c.store.up {
		c.SetStore(true)
	}
	for _, m := range c.members {
		if m.storeCut {
			c.Cut(m.name, false)
		}
		m.isolated, m.pg.hung = false, false
		switch {
		case !m.alive && !m.guardAlive:
			m.Exit = -1
			m.Boot()
		case !m.alive:
			m.Exit = -1
			m.Start()
		case m.frozen:
			m.Thaw()
		}
	}
	c.World.Run(3 * time.Second) // all that was under way has come
	for _, m := range c.members {
		if !m.alive { // was stopping
			m.Exit = -1
			m.Start()
		}
	}
	c.paused = false
	delete(c.doc, "pause")
	c.Put(events.KeyFailover, "{}")
	c.Put(events.KeyConfig, c.document())
}

// bound is how long a healed cluster may take: the end of a lease, an election, and copies or rewinds after it.
func (c *Chaos) bound() time.Duration { return 3*30*time.Second + 4*c.loopWait + 30*time.Second }

func (c *Chaos) demandHealth() {
	healthy := func() bool { return c.Leader() != nil && len(c.unsettled()) == 0 }
	if !c.RunUntil(c.bound(), healthy) {
		c.breaks(fmt.Sprintf("L1/L2: %v after everything was healed: leader %q, %s", c.bound(), c.LeaderKey(), strings.Join(c.unsettled(), "; ")))
		return
	}
	if len(c.Broken) > 0 {
		return
	}
	leader := c.Leader()
	c.World.Run(2*c.ttl + 3*c.loopWait)
	if c.Leader() != leader || len(c.unsettled()) > 0 {
		c.breaks(fmt.Sprintf("L3: the healed cluster does not stay as it is: %s", strings.Join(c.unsettled(), "; ")))
	}
}

// unsettled are the members that neither lead nor follow, nor wait for a person for a right reason.
func (c *Chaos) unsettled() []string {
	var out []string
	leader := c.Leader()
	for _, m := range c.members {
		switch {
		case m == leader:
		case m.alive && m.engine.State() == engine.Following && m.pg.streaming:
		case m.alive && m.engine.State() == engine.Stranded && c.rightlyStranded(m):
		default:
			text := "dead"
			if m.alive {
				text = m.State()
			}
			out = append(out, m.name+" "+text)
		}
	}
	return out
}

// rightlyStranded compares a member's reason to need a person with the truth.
func (c *Chaos) rightlyStranded(m *Member) bool {
	leader := c.Leader()
	if leader == nil || !m.pg.data {
		return false
	}
	if m.pg.sysid != leader.pg.sysid {
		return true
	}
	return m.pg.half || m.pg.diverged(&leader.pg)
}

func (c *Chaos) began() events.Instant { return events.Instant(time.Hour) }

// end is the end of the trace and how things stand.
func (c *Chaos) end(lines int) string {
	c.Trace = c.Trace[max(0, len(c.Trace)-lines):]
	return strings.Join(c.Trace, "\n") + "\n" + c.stand()
}

func (c *Chaos) stand() string {
	var b strings.Builder
	fmt.Fprintf(&b, "guard %s, config %s, members %d\n", c.set.Guard, c.document(), len(c.members))
	for _, m := range c.members {
		state := "dead"
		if m.alive {
			state = m.State()
		}
		p := &m.pg
		fmt.Fprintf(&b, "%s frozen %v cut %v guard %v/%v/%v pg data %v half %v running %v starting %v recovery %v "+
			"control %q tl %d lsn %v streaming %v from %q nofailover %v| %s\n",
			m.name, m.frozen, m.storeCut, m.guardAlive, m.guardDeadline.Sub(c.now), m.guardFired, p.data, p.half, p.running, p.starting, p.recovery, p.control,
			p.timeline, p.lsn, p.streaming, p.upstream, m.Tags.NoFailover, state)
	}
	fmt.Fprintf(&b, "%s leader key %q\n", c.clock(), c.LeaderKey())
	return b.String()
}
