package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Merged are the steps of all logs on one axis.
type Merged struct {
	Logs     []*Log
	SystemID string
	clocks   []clock
	of       [][]int // clock of each life of each log
	bounds   bounds
	// contradiction is by how much the facts about two clocks contradict each other.
	contradiction time.Duration
	order         []mark
}

// mark is the place of a step on the axis.
type mark struct {
	at              events.Instant
	log, life, step int
}

// Merge puts logs on one axis: its origin is such that the first step is at kernel.Begin. Logs of different clusters, or two of one member,
// are refused.
func Merge(logs []*Log) (*Merged, error) {
	m := &Merged{Logs: slices.Clone(logs)}
	slices.SortFunc(m.Logs, func(a, b *Log) int { return cmp.Compare(a.Member(), b.Member()) })
	var first string // whose log told SystemID
	for i, l := range m.Logs {
		if i > 0 && l.Member() == m.Logs[i-1].Member() {
			return nil, fmt.Errorf("merge the logs: %s and %s are both of member %s", m.Logs[i-1].Dir, l.Dir, l.Member())
		}
		if scope := m.Logs[0].Config.Scope; l.Config.Scope != scope {
			return nil, fmt.Errorf("merge the logs: %s is of cluster %q and %s of cluster %q", m.Logs[0].Dir, scope, l.Dir, l.Config.Scope)
		}
		switch id := l.systemID(); {
		case id == "" || id == m.SystemID:
		case m.SystemID == "":
			m.SystemID, first = id, l.Dir
		default:
			return nil, fmt.Errorf("merge the logs: %s is of the system %s and %s of the system %s", first, m.SystemID, l.Dir, id)
		}
	}
	m.clocks, m.of = boots(m.Logs)
	m.bounds = bound(m.Logs, m.clocks, m.of)
	m.contradiction = m.bounds.relax()
	m.bounds.close()
	m.bounds.set(m.clocks)
	m.sort()
	return m, nil
}

// sort lays the steps in order and moves the axis to its origin.
func (m *Merged) sort() {
	for l, log := range m.Logs {
		for i := range log.Lives {
			by := m.clocks[m.of[l][i]].by
			for j := range log.Lives[i].Steps {
				m.order = append(m.order, mark{log.Lives[i].Steps[j].In.At.Add(by), l, i, j})
			}
		}
	}
	slices.SortStableFunc(m.order, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	origin := kernel.Begin.Sub(m.order[0].at)
	for i := range m.order {
		m.order[i].at = m.order[i].at.Add(origin)
	}
	for i := range m.clocks {
		m.clocks[i].by += origin
	}
}

func (m *Merged) step(k mark) *Step { return &m.Logs[k.log].Lives[k.life].Steps[k.step] }

func (m *Merged) clockOf(k mark) int { return m.of[k.log][k.life] }

// by is what is added to the instants of a step.
func (m *Merged) by(k mark) time.Duration { return m.clocks[m.clockOf(k)].by }

// Since is the time from the first step to an instant of the axis.
func Since(at events.Instant) time.Duration { return at.Sub(kernel.Begin) }

// Wall is what the axis' own wall clock showed at an instant.
func (m *Merged) Wall(at events.Instant) time.Time {
	c := &m.clocks[byWeight(m.clocks)[0]]
	return time.Unix(0, int64(at)-int64(c.by)+c.wall).UTC()
}
