package replay

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// decision judges what was decided, and folds what follows from it.
func (t *Tracker) decision(m *watched, in *events.Input, d *events.Decision) {
	for _, b := range d.Broken {
		t.breaks(engineInvariant(b), fmt.Sprintf("%s found on %s: %s", m.Member, in.Fact.FactKind(), b))
	}
	for i := range d.Fired {
		if d.Fired[i].Why == "" {
			t.breaks("L7", fmt.Sprintf("%s fires %s without a reason", m.Member, d.Fired[i].Rule))
		}
	}
	if d.From != d.To && d.Why == "" {
		t.breaks("L7", fmt.Sprintf("%s goes from %s to %s without a reason", m.Member, d.From, d.To))
	}
	for i := range d.Effects {
		e := &d.Effects[i]
		if e.Action == nil {
			continue
		}
		if kind := e.Action.ActionKind(); kind.WorksOnData() {
			t.oneAtATime(m, e, kind)
			t.handsOff(m, d, kind)
		}
		t.effect(m, e)
	}
}

// engineInvariant is the name at the head of an engine's own complaint.
func engineInvariant(text string) string {
	for i := range len(text) {
		if text[i] == ':' {
			return text[:i]
		}
	}
	return "IN"
}

func (t *Tracker) effect(m *watched, e *events.Effect) {
	switch a := e.Action.(type) {
	case events.ReleaseLease, events.HandOverLease:
		if m.writable() {
			t.breaks("S1", fmt.Sprintf("%s gives the lease away while its PostgreSQL accepts writes", m.Member))
		}
		how := "released"
		if h, hands := a.(events.HandOverLease); hands {
			how = "handed over to " + h.To
		}
		m.tenure.end(t.now, how)
	case events.ArmGuard:
		if m.guard.Deadline != 0 {
			t.margin(MarginGuard, m.guard.Deadline.Sub(t.now), 0, fmt.Sprintf("%s told its guard another deadline %%s before the guard would have fired", m.Member))
		}
		m.arming[e.ID] = a.Deadline
		m.armed = max(m.armed, a.Deadline)
	case events.Exit:
		m.alive = false
	}
	if events.MakesPrimary(e.Action) {
		t.makesPrimary(m, e)
	}
}

// makesPrimary judges an effect that leads to a server that accepts writes.
func (t *Tracker) makesPrimary(m *watched, e *events.Effect) {
	kind, x := e.Action.ActionKind(), m.tenure
	_, restarts := e.Action.(events.RestartPostgres)
	switch {
	case !x.holds(t.now) || x.Epoch != e.Epoch:
		t.breaks("S4", fmt.Sprintf("%s issues %s with epoch %d, and %s", m.Member, kind, e.Epoch, x.text(t.now)))
	case restarts: // its guard may be missing for as long as that of any other primary
	case m.config.GuardPolicy == "required" && (!m.guard.Alive || m.guard.Deadline == 0 || m.guard.Deadline > x.until):
		t.breaks("S4", fmt.Sprintf("%s issues %s, and its guard (alive: %v, fired: %v, deadline at %.3f) would not fire before its lease ends at %.3f",
			m.Member, kind, m.guard.Alive, m.guard.Fired, Since(m.guard.Deadline).Seconds(), Since(x.until).Seconds()))
	default:
		t.margin(MarginPromote, x.until.Sub(t.now), 0, fmt.Sprintf("%s issued %s with %%s of its lease left", m.Member, kind))
	}
	if m.config.Tags.NoFailover {
		t.breaks("S3", fmt.Sprintf("%s issues %s, and it is tagged nofailover", m.Member, kind))
	}
	own := max(m.pg.Server.Timeline, m.pg.Control.Timeline, m.pg.Control.MinRecoveryTLI)
	if known := m.view.ClusterTimeline(); own != 0 && own < known && t.now > m.failover {
		t.breaks("S3", fmt.Sprintf("%s issues %s on timeline %d, and the cluster's is %d", m.Member, kind, own, known))
	}
	m.order = t.now
}

func (x *Tenure) text(now events.Instant) string {
	switch {
	case x == nil:
		return "it never held the lease"
	case x.over:
		return fmt.Sprintf("its lease of epoch %d is over: %s", x.Epoch, x.How)
	}
	return fmt.Sprintf("its lease has epoch %d and %s left", x.Epoch, seconds(x.until.Sub(now)))
}

// lateness is how long an engine waits, after its deadline, for the outcome of an effect before it gives it up.
const lateness = 5 * time.Second

func (t *Tracker) oneAtATime(m *watched, e *events.Effect, kind events.ActionKind) {
	if w := &m.work; w.effect != 0 && t.now < w.until {
		t.breaks("S6", fmt.Sprintf("%s issues %s while %s works on the data directory", m.Member, kind, w.kind))
	}
	m.work.effect, m.work.kind, m.work.until = e.ID, kind, e.Deadline.Add(lateness)
}

// handsOff: in a pause nothing is done to PostgreSQL but by order.
func (t *Tracker) handsOff(m *watched, d *events.Decision, kind events.ActionKind) {
	if d.From != engine.Paused || d.To == engine.Campaigning || d.To == engine.Switching || kind == events.ActFollow || kind == events.ActCheckDivergence {
		return
	}
	if !pauseOf(m.view.Config) || t.within(m.moved, time.Minute) || t.within(m.orders[events.AskRestart], 2*time.Minute) ||
		t.within(m.orders[events.AskReinitialize], 2*time.Minute) {
		return
	}
	t.breaks("S11", fmt.Sprintf("%s issues %s in a pause", m.Member, kind))
}

func (t *Tracker) within(at events.Instant, d time.Duration) bool {
	return at != 0 && t.now.Sub(at) <= d
}

// pauseOf reads the dynamic configuration. One that cannot be read says nothing of a pause.
func pauseOf(doc json.RawMessage) bool {
	var c struct {
		Pause bool `json:"pause"`
	}
	return json.Unmarshal(doc, &c) == nil && c.Pause
}
