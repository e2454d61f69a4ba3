package simulations

import (
	"fmt"
	"slices"
	"strings"

	"github.com/regent-ha/regent/events"
)

// excuse is a truth that lets a member neither lead nor follow, and the rules that may hold it there: what the member says of itself, as
// `regent why` prints it, must be what is true.
type excuse struct {
	name  string
	holds func(w *World, m, leader *Member) bool // leader: nil where nobody leads
	rules []events.RuleID
}

// excuses is the table.
var excuses = []excuse{
	{"it may not lead, and nobody leads", func(_ *World, m, leader *Member) bool {
		return leader == nil && m.Tags.NoFailover
	}, []events.RuleID{"FL-22"}},
	{"the store has lost the cluster, and no server here was its primary", func(w *World, m, leader *Member) bool {
		kv, there := w.Key(events.KeyInitialize)
		return leader == nil && w.wipedAt != 0 && !(there && kv.Value != "") && !m.wasPrimary()
	}, []events.RuleID{"FL-24", "SP-65", "SX-99", "WA-27", "WA-50"}},
	{"it has received less than maximum_lag_on_failover allows, and nobody leads", func(w *World, m, leader *Member) bool {
		last := events.ParseView(w.store.Contents()).Status.Optime
		return leader == nil && m.pg.HasData() && last > m.pg.LSN()+m.engine.Status().Settings.MaximumLagOnFailover
	}, []events.RuleID{"FL-26"}},
	{"its timeline is one that the cluster has left, and nobody leads", func(w *World, m, leader *Member) bool {
		v := events.ParseView(w.store.Contents())
		return leader == nil && m.pg.HasData() && m.pg.Timeline() < v.ClusterTimeline()
	}, []events.RuleID{"FL-25"}},
	{"a newer timeline is in the archive, to which its WAL does not lead, and nobody leads", func(w *World, m, leader *Member) bool {
		newer := slices.ContainsFunc(w.members, func(o *Member) bool { return o.pg.Timeline() > m.pg.Timeline() })
		return leader == nil && newer && strings.Contains(m.engine.Status().Why, "requested timeline")
	}, []events.RuleID{"SP-16"}},
	{"it has no data, and nobody leads", func(_ *World, m, leader *Member) bool {
		return leader == nil && !m.pg.HasData()
	}, []events.RuleID{"WA-60"}},
	{"its data is half rewound, and nobody leads whom it could be rewound to", func(_ *World, m, leader *Member) bool {
		return leader == nil && m.pg.HalfRewound()
	}, []events.RuleID{"RW-99", "SP-16"}},
	{"its data has WAL that the leader has not, or the last one if nobody leads", func(w *World, m, leader *Member) bool {
		if leader == nil {
			leader = w.lastLeader
		}
		return leader != nil && m.pg.SystemID() != "" && m.pg.Diverged(leader.pg)
	}, []events.RuleID{"SX-99", "SP-16"}},
}

// excuse tells why a member may be as it is, and the name of what makes it right.
func (w *World) excuse(m, leader *Member) (string, bool) {
	if !m.alive {
		return "", false
	}
	rule := m.engine.Status().Rule
	for i := range excuses {
		if e := &excuses[i]; slices.Contains(e.rules, rule) && e.holds(w, m, leader) {
			return fmt.Sprintf("%s: %s", rule, e.name), true
		}
	}
	return "", false
}

// explained notes a true reason.
func (c *Chaos) explained(m *Member, why string) {
	c.say("%s waits for a person, and says why: %s", m.name, why)
	c.Explained = append(c.Explained, m.name+" "+why)
}

// wasPrimary tells that PostgreSQL here is a primary, or was one when it ended.
func (m *Member) wasPrimary() bool {
	if m.pg.Running() {
		return !m.pg.Recovering()
	}
	o := m.pg.Observe()
	return o.Data == events.DataPresent && !o.Control.StandbySignal && o.Control.State != "shut down in recovery" && o.Control.State != "in archive recovery"
}
