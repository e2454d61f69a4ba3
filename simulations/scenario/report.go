package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// report turns decisions into the output of a block.
type report struct {
	states map[string]events.LifecycleState // of each member, as last decided
	chains map[string]*chain                // of this block
	others Output                           // what else is told, in order
	short  bool                             // only steps and rules, on one line
}

// chain is what a member decided within a block.
type chain struct {
	from  events.LifecycleState
	links []link
	moved bool
}

// link is a step to a state, or something that was done or refused in one.
type link struct {
	to   events.LifecycleState // empty: no step
	rule events.RuleID
	text string
}

func newReport() *report {
	return &report{states: map[string]events.LifecycleState{}, chains: map[string]*chain{}}
}

// tell adds a line about something other than a member.
func (r *report) tell(key, line string) {
	if e := r.others.find(key); e != nil {
		e.Lines = append(e.Lines, "  "+line)
		return
	}
	r.others = append(r.others, Entry{key, []string{line}})
}

// see takes a decision.
func (r *report) see(member string, d *events.Decision) {
	c := r.chains[member]
	last, known := r.states[member]
	if c == nil {
		c = &chain{from: d.From}
		if known {
			c.from = last
		}
		r.chains[member] = c
	}
	if known && last != d.From {
		c.step(d.From, "", "the agent starts")
	}
	r.states[member] = d.To
	c.take(d)
}

// chapters are the states of the rules' first letters. Rules of duties have others.
var chapters = map[string]events.LifecycleState{
	"ST": engine.Starting, "WA": engine.Waiting, "BS": engine.Bootstrapping, "CL": engine.Cloning, "SP": engine.Stopped, "RC": engine.Recovering,
	"RW": engine.Rewinding, "JO": engine.Joining, "FL": engine.Following, "CA": engine.Campaigning, "PR": engine.Promoting, "ON": engine.Opening,
	"AD": engine.Adopting, "LD": engine.Leading, "SW": engine.Switching, "DE": engine.Demoting, "YI": engine.Yielding, "RS": engine.Restarting,
	"FE": engine.Fenced, "PA": engine.Paused, "SX": engine.Stranded, "SD": engine.Stopping, "EX": engine.Exited,
}

// toldDuties are the duties that say something to a reader of an incident; the others go on all the time.
var toldDuties = []events.RuleID{"FK-10", "PU-40", "PU-50"}

// routine are rows that act and say nothing new: a replica looks where to stream from. When they do depends on the moment.
var routine = []events.RuleID{"FL-40", "FL-44", "PA-50", "SP-44"}

func stateOf(rule events.RuleID) (events.LifecycleState, bool) {
	chapter, _, _ := strings.Cut(string(rule), "-")
	state, ok := chapters[chapter]
	return state, ok
}

// take adds what a decision says. Of several rules that acted at once, each but the last has led to the state in which the
// next one stands.
func (c *chain) take(d *events.Decision) {
	var rows []events.Fired
	for _, f := range d.Fired {
		if _, ok := stateOf(f.Rule); ok && !slices.Contains(routine, f.Rule) {
			rows = append(rows, f)
		}
	}
	at := d.From
	for i, f := range rows {
		to := d.To
		if i+1 < len(rows) {
			to, _ = stateOf(rows[i+1].Rule)
		}
		if to != at {
			c.step(to, f.Rule, f.Why)
			at = to
		} else {
			c.add(link{"", f.Rule, f.Why})
		}
		c.candidates(d, f)
	}
	if at != d.To { // no row led there: an invariant broke
		c.step(d.To, d.Rule, d.Why)
	}
	c.refusals(d, rows)
	for _, f := range d.Fired {
		if slices.Contains(toldDuties, f.Rule) {
			c.add(link{"", f.Rule, f.Why})
		}
	}
	for i := range d.Effects {
		switch a := d.Effects[i].Action.(type) {
		case events.AnswerOperator:
			c.add(link{"", "", fmt.Sprintf("answers %d: %s", a.Code, a.Body)})
		case events.Exit:
			if a.Code != 0 {
				c.add(link{"", "", fmt.Sprintf("the agent ends with code %d", a.Code)})
			}
		}
	}
}

// candidates adds what is said of others by a row that acted.
func (c *chain) candidates(d *events.Decision, row events.Fired) {
	for _, f := range d.Refusals {
		if f.Rule == row.Rule && f.Why != row.Why {
			c.add(link{"", "", fmt.Sprintf("not %s: %s", f.Candidate, f.Why)})
		}
	}
}

// refusals adds why this member is not to lead, as rows say that hold and do nothing.
func (c *chain) refusals(d *events.Decision, rows []events.Fired) {
	for _, f := range d.Refusals {
		if !slices.ContainsFunc(rows, func(r events.Fired) bool { return r.Rule == f.Rule }) {
			c.add(link{"", "", fmt.Sprintf("refused (%s) %s", f.Rule, f.Why)})
		}
	}
}

func (c *chain) step(to events.LifecycleState, rule events.RuleID, why string) {
	c.moved = true
	c.add(link{to, rule, why})
}

func (c *chain) add(l link) {
	l.text = mask(l.text)
	c.links = append(c.links, l)
}

// output is what came since the last output, in order of the members' names. States are all members', to be told if nothing happened.
func (r *report) output(members, states []string) Output {
	var out Output
	for _, m := range members {
		if c := r.chains[m]; c != nil && len(c.links) > 0 {
			out = append(out, Entry{m, c.lines(r.short)})
		}
	}
	if len(out) == 0 && len(states) > 0 {
		out = Output{{"all stay", []string{strings.Join(states, ", ")}}}
	}
	out = append(out, r.others...)
	r.chains, r.others, r.short = map[string]*chain{}, nil, false
	return out
}

// lines are the text of a chain: the state at its beginning, and its links.
func (c *chain) lines(short bool) []string {
	if short {
		line := string(c.from)
		for _, l := range c.links {
			if l.to != "" {
				line += fmt.Sprintf(" → %s (%s)", l.to, l.rule)
			}
		}
		return []string{line}
	}
	texts := make([]string, len(c.links))
	for i, l := range c.links {
		texts[i] = l.line()
	}
	return append([]string{string(c.from)}, again(texts)...)
}

func (l *link) line() string {
	text := l.text
	if l.rule != "" {
		text = fmt.Sprintf("(%s) %s", l.rule, l.text)
	}
	if l.to == "" {
		return "    " + text
	}
	return fmt.Sprintf("  → %s %s", l.to, text)
}

// longestRound is how many links may come again and again before it is not seen that they do.
const longestRound = 8

// again tells once what comes several times in a row: how often depends on time.
func again(lines []string) []string {
	var out []string
	for i := 0; i < len(lines); {
		k := round(lines[i:])
		if k == 0 {
			out = append(out, lines[i])
			i++
			continue
		}
		out = append(out, lines[i:i+k]...)
		first := lines[i : i+k]
		for i+k <= len(lines) && slices.Equal(lines[i:i+k], first) {
			i += k
		}
		for j := 0; i < len(lines) && j < k-1 && lines[i] == first[j]; j++ { // and a part of it
			i++
		}
		if k == 1 {
			out = append(out, "    again and again")
		} else {
			out = append(out, fmt.Sprintf("    these %d again and again", k))
		}
	}
	return out
}

// round is how many lines come again at once, zero if none do.
func round(lines []string) int {
	for k := 1; k <= longestRound && 2*k <= len(lines); k++ {
		if slices.Equal(lines[:k], lines[k:2*k]) {
			return k
		}
	}
	return 0
}
