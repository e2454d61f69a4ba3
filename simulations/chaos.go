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
	c.Trace = append(c.Trace, c.clock()+" *** "+fmt.Sprintf(format, args...))
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
