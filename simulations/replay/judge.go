package replay

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Report is what a replay found.
type Report struct {
	Scope    string         `json:"scope"`
	SystemID string         `json:"system_id,omitempty"`
	Members  []MemberReport `json:"members"`
	// Begins is what the axis' own wall clock showed at its origin.
	Begins time.Time      `json:"begins"`
	Origin events.Instant `json:"origin"`
	Lasts  time.Duration  `json:"lasts"`
	// Contradiction is by how much the facts about two clocks contradict each other, as those of clocks with different rates do.
	Contradiction time.Duration `json:"contradiction,omitempty"`

	Lines    []Line     `json:"lines"`
	Tenures  []*Tenure  `json:"tenures"`
	Writings []*Writing `json:"writings"`
	Closest  []Margin   `json:"closest"`
	Breaches []Breach   `json:"breaches"`
	// LeftOut is what could not be looked at, and why.
	LeftOut []string `json:"left_out,omitempty"`
}

// MemberReport is about one log.
type MemberReport struct {
	Name    string `json:"name"`
	Dir     string `json:"dir"`
	Version string `json:"version"`
	Starts  int    `json:"starts"`
	Inputs  int    `json:"inputs"`
	// Equal are the decisions that came out as recorded, Passed those that could not be decided again.
	Equal  int `json:"equal"`
	Passed int `json:"passed"`
	// Ahead is how far the member's boot clock was ahead of the one that is the axis; of a host that was booted in between the last.
	Ahead time.Duration `json:"ahead"`
	// Doubt is how far instants of this member may be off against the axis, at most. Known tells that it follows from shared facts.
	Doubt time.Duration `json:"doubt"`
	Known bool          `json:"known"`
	Facts int           `json:"facts"` // shared ones
}

// Judge feeds all recorded inputs to engines, in the order of the axis, and judges what was recorded.
func (m *Merged) Judge() *Report {
	axis := byWeight(m.clocks)[0]
	r := &Report{Scope: m.Logs[0].Config.Scope, SystemID: m.SystemID, Contradiction: m.contradiction,
		Origin: m.order[0].at, Begins: m.Wall(m.order[0].at), Lasts: m.order[len(m.order)-1].at.Sub(m.order[0].at)}
	for l, log := range m.Logs {
		r.Members = append(r.Members, m.memberReport(l, log, axis))
		r.LeftOut = append(r.LeftOut, leftOut(log)...)
	}
	t := NewTracker()
	t.Doubt = m.doubt
	engines := make([]*replica, len(m.Logs))
	for _, k := range m.order {
		s := m.step(k)
		at := ShiftInput(s.In, m.by(k))
		var decided *events.Decision
		if s.Decision != nil {
			d := ShiftDecision(s.Decision, m.by(k))
			decided = &d
		}
		t.Step(Source{m.Logs[k.log].Member(), m.clockOf(k)}, at, decided)
		m.redecide(t, engines, &r.Members[k.log], k, s)
	}
	t.finish(r)
	return r
}

// replica is the engine of one member in a replay. It is nil while what would have to be fed to it is not known.
type replica struct {
	replayer *engine.Replayer
	life     int
}

// redecide decides a step again and compares.
func (m *Merged) redecide(t *Tracker, engines []*replica, r *MemberReport, k mark, s *Step) {
	life := &m.Logs[k.log].Lives[k.life]
	e := engines[k.log]
	if k.step == 0 {
		e = &replica{life: k.life}
		if life.Whole {
			e.replayer = engine.NewReplayer()
		}
		engines[k.log] = e
	}
	if k.step == life.Lost || s.Decision == nil {
		e.replayer = nil
	}
	if e.replayer == nil {
		r.Passed++
		return
	}
	if err := e.replayer.Step(s.In, *s.Decision); err != nil {
		t.breaks("S10", fmt.Sprintf("%s decides otherwise than it did (version %s): %v", r.Name, r.Version, err))
		e.replayer = nil
		return
	}
	r.Equal++
}

func (m *Merged) memberReport(l int, log *Log, axis int) MemberReport {
	r := MemberReport{Name: log.Member(), Dir: log.Dir, Version: log.Version, Known: true}
	for i := range log.Lives {
		r.Starts++
		r.Inputs += len(log.Lives[i].Steps)
	}
	for c := range m.clocks {
		if m.clocks[c].log == l {
			d, known := m.bounds.doubt(m.clocks, axis, c)
			r.Ahead = m.clocks[axis].by - m.clocks[c].by
			r.Doubt, r.Known, r.Facts = max(r.Doubt, d+m.contradiction), r.Known && known, r.Facts+m.clocks[c].facts
		}
	}
	return r
}

func (m *Merged) doubt(a, b int) time.Duration {
	d, _ := m.bounds.doubt(m.clocks, a, b)
	if a != b {
		d += m.contradiction
	}
	return d
}

// leftOut tells what a log lacks.
func leftOut(log *Log) (out []string) {
	for i := range log.Lives {
		life := &log.Lives[i]
		if !life.Whole {
			out = append(out, fmt.Sprintf("%s: the start of its first run is not in the log: its %d inputs are judged as recorded, and not decided again",
				log.Member(), len(life.Steps)))
		}
		if life.Lost >= 0 {
			out = append(out, fmt.Sprintf("%s, after input %d of run %d: %s; what follows in that run is judged as recorded, and not decided again",
				log.Member(), lastSeq(life, life.Lost), i+1, life.Missing))
		}
	}
	if log.Torn != "" {
		out = append(out, fmt.Sprintf("%s: the log ends in a torn record: %s", log.Member(), log.Torn))
	}
	return out
}

// lastSeq is the seq of the last of the first n steps.
func lastSeq(life *Life, n int) uint64 {
	if n == 0 {
		return 0
	}
	return life.Steps[n-1].In.Seq
}

// finish judges what is known only in the end.
func (t *Tracker) finish(r *Report) {
	t.judgeTenures()
	t.judgeWritings()
	slices.SortStableFunc(t.breaches, func(a, b Breach) int { return cmp.Compare(a.At, b.At) })
	r.Lines, r.Tenures, r.Writings, r.Breaches = t.lines, t.tenures, t.writings, t.breaches
	r.Closest = closest(t.margins, keptMargins)
	if t.restored {
		r.LeftOut = append(r.LeftOut, "the store was restored to an older state: revisions, epochs and timelines before and after it are not compared")
	}
}
