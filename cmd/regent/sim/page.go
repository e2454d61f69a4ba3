package sim

import (
	_ "embed"
	"fmt"
	"html/template"
	"math/bits"
	"os"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/coverage"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/scenario"
	"github.com/regent-ha/regent/simulations/stores"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template shows. Everything in it is ready to be shown.
type page struct {
	Stores, Seeds, For, Took, Rates string
	Sound                           bool
	Tiles                           []tile
	ByStore                         []storeRow
	Failures                        []pageFailure
	Chapters                        []chapter
	Effects, Requests, ByOutcome    matrix
	Faults                          matrix
	Scenarios                       int
}

type tile struct {
	Number, Of, Name string
	Bad              bool
}

type storeRow struct {
	Name                                             string
	Runs, Failed, Hours, Events, Decisions, Failover string
	Bad                                              bool
}

type pageFailure struct{ Title, Block, Command string }

// chapter are the rows of one lifecycle state.
type chapter struct {
	State string
	Fired string // as in "11 of 13"
	Rules []ruleLine
}

type ruleLine struct {
	ID, Why         string
	Refusal         bool
	Days, Scenarios cell
	Note            string // why it is silent
	Class           string
}

// matrix is a table of counts.
type matrix struct {
	Corner  string
	Columns []string
	Rows    []matrixRow
}

type matrixRow struct {
	Name  string
	Cells []cell
	All   string
}

// cell is a count, with the class of its colour.
type cell struct{ Text, Class string }

// counted makes a cell: the colour grows with the number of digits.
func countedCell(n uint64) cell {
	if n == 0 {
		return cell{"", "h0"}
	}
	return cell{short(n), fmt.Sprintf("h%d", min(1+(bits.Len64(n)-1)*3/10, 6))}
}

// short is a count of at most four digits.
func short(n uint64) string {
	switch {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%dk", n/1000)
	default:
		return fmt.Sprintf("%dM", n/1_000_000)
	}
}

// grouped is a count with a space between thousands.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// writePage plays the scenarios, for what they cover, and writes the page.
func (o *Options) writePage(t *tally) error {
	played, n, err := playScenarios(o.Stores)
	if err != nil {
		return err
	}
	p := o.page(t, played)
	p.Scenarios = n
	var b strings.Builder
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	return os.WriteFile(o.HTML, []byte(b.String()), 0o644)
}

// playScenarios plays the scenarios of the program and tells what they cover, and how many there are for these stores.
func playScenarios(on []string) (*coverage.Counts, int, error) {
	files, err := simulations.Scenarios()
	if err != nil {
		return nil, 0, err
	}
	all, n := &coverage.Counts{}, 0
	for _, f := range files {
		plays := 0
		for _, store := range on {
			if !f.PlaysOn(store) {
				continue
			}
			s := simulations.NewStage(store, kernel.Harmless())
			if _, err := scenario.Play(f, s); err != nil {
				return nil, 0, fmt.Errorf("play a scenario on %s: %w", store, err)
			}
			all.Add(s.Counts())
			plays = 1
		}
		n += plays
	}
	return all, n, nil
}

func (o *Options) page(t *tally, played *coverage.Counts) *page {
	days := t.all()
	both := &coverage.Counts{}
	both.Add(days)
	both.Add(played)
	all := t.sum("")
	p := &page{
		Stores: strings.Join(o.Stores, ", "), Seeds: fmt.Sprintf("%d to %d", o.From, o.From+o.Seeds-1), For: span(o.For),
		Took: t.took.Round(time.Second).String(), Rates: all.rates(t.took), Sound: all.failed == 0,
		Effects: effectsMatrix(both), Requests: requestsMatrix(both), ByOutcome: t.storesMatrix(o.Stores), Faults: faultsMatrix(both),
	}
	fired, silent := 0, 0
	p.Chapters, fired, silent = chaptersOf(days, played)
	rules := len(engine.RuleIDs())
	p.Tiles = []tile{
		{Number: grouped(uint64(all.runs)), Name: "bad days"}, {Number: grouped(uint64(all.failed)), Name: "broke an invariant", Bad: all.failed > 0},
		{Number: fmt.Sprintf("%.1f", all.virtual.Hours()), Name: "cluster-hours"}, {Number: grouped(uint64(all.failovers)), Name: "changes of the leader"},
		{Number: grouped(uint64(all.steps)), Name: "decisions judged"},
		{Number: fmt.Sprint(fired), Of: fmt.Sprintf("of %d", rules), Name: fmt.Sprintf("rules fired; %d listed as silent", silent)},
	}
	for _, store := range o.Stores {
		s := t.sum(store)
		p.ByStore = append(p.ByStore, storeRow{Name: store, Runs: grouped(uint64(s.runs)), Failed: grouped(uint64(s.failed)),
			Hours: fmt.Sprintf("%.1f", s.virtual.Hours()), Events: grouped(s.events), Decisions: grouped(uint64(s.steps)),
			Failover: grouped(uint64(s.failovers)), Bad: s.failed > 0})
	}
	for _, f := range t.failures {
		p.Failures = append(p.Failures, pageFailure{fmt.Sprintf("%s on %s, seed %d", f.verdict.Invariant, f.verdict.Store, f.verdict.Seed),
			f.block, f.command})
	}
	return p
}

// span is a time without units that are zero.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// chaptersOf are all rows by state, the duties last; it also counts those that fired, and those that are listed as silent and were.
func chaptersOf(days, played *coverage.Counts) (all []chapter, fired, silent int) {
	at := map[events.LifecycleState]int{}
	count := map[int]int{}
	for _, r := range engine.RuleRows() {
		i, ok := at[r.In]
		if !ok {
			i = len(all)
			at[r.In] = i
			name := string(r.In)
			if r.In == "" {
				name = "duties, in any state"
			}
			all = append(all, chapter{State: name})
		}
		inDays, inScenarios := days.Rule(r.ID), played.Rule(r.ID)
		line := ruleLine{ID: string(r.ID), Why: r.Why, Refusal: r.Refusal, Days: countedCell(inDays), Scenarios: countedCell(inScenarios)}
		switch listed := coverage.WhySilent(r.ID); {
		case inDays+inScenarios > 0:
			fired++
			count[i]++
		case listed != nil:
			silent++
			line.Note, line.Class = listed.Why, "listed"
		default:
			line.Note, line.Class = "not in these runs", "absent"
		}
		all[i].Rules = append(all[i].Rules, line)
	}
	for i := range all {
		all[i].Fired = fmt.Sprintf("%d of %d", count[i], len(all[i].Rules))
	}
	return all, fired, silent
}

func outcomeNames() []string {
	var names []string
	for _, out := range coverage.Outcomes {
		name := string(out)
		if out == events.Lost {
			name = "lost (conflict)"
		}
		names = append(names, name)
	}
	return names
}

func (m *matrix) row(name string, counts []uint64) {
	r := matrixRow{Name: name}
	all := uint64(0)
	for _, n := range counts {
		r.Cells = append(r.Cells, countedCell(n))
		all += n
	}
	r.All = grouped(all)
	m.Rows = append(m.Rows, r)
}

// outcomeRow asks for the count of each outcome.
func outcomeRow(count func(events.Outcome) uint64) []uint64 {
	var row []uint64
	for _, out := range coverage.Outcomes {
		row = append(row, count(out))
	}
	return row
}

func effectsMatrix(c *coverage.Counts) matrix {
	m := matrix{Corner: "effect", Columns: outcomeNames()}
	for _, a := range coverage.Effects {
		m.row(strings.ReplaceAll(string(a), "_", " "), outcomeRow(func(out events.Outcome) uint64 { return c.Effect(a, out) }))
	}
	return m
}

func requestsMatrix(c *coverage.Counts) matrix {
	m := matrix{Corner: "request", Columns: outcomeNames()}
	for _, op := range stores.Ops() {
		m.row(op.String(), outcomeRow(func(out events.Outcome) uint64 { return c.Requests(op, out) }))
	}
	return m
}

// storesMatrix tells how requests to each store ended in the bad days.
func (t *tally) storesMatrix(names []string) matrix {
	m := matrix{Corner: "store", Columns: outcomeNames()}
	for _, store := range names {
		c := t.counts[store]
		if c == nil {
			c = &coverage.Counts{}
		}
		m.row(store, outcomeRow(func(out events.Outcome) (n uint64) {
			for _, op := range stores.Ops() {
				n += c.Requests(op, out)
			}
			return n
		}))
	}
	return m
}

func faultsMatrix(c *coverage.Counts) matrix {
	m := matrix{Corner: "fault"}
	for _, s := range coverage.States() {
		m.Columns = append(m.Columns, string(s))
	}
	for _, f := range coverage.Faults() {
		var row []uint64
		for _, s := range coverage.States() {
			row = append(row, c.Strikes(f, s))
		}
		m.row(f.String(), row)
	}
	return m
}
