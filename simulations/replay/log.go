package replay

import (
	"errors"
	"fmt"

	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
)

// Step is an input and what was decided on it. Decision is nil where the record of it is missing.
type Step struct {
	In       events.Input
	Decision *events.Decision
}

// Life is what a log holds of one agent, from its start to its end or to the next start.
type Life struct {
	// Whole tells that the first step is the agent's start.
	Whole bool
	Steps []Step
	// Lost is how many steps there are before the first place at which records are missing, and Missing says what is. It is -1 where
	// nothing is missing.
	Lost    int
	Missing string
}

// Log is one member's log.
type Log struct {
	Dir     string
	Config  events.MemberConfig // as at the last start
	Version string              // of the agent that started last
	Lives   []Life
	Torn    string // what is known of a torn tail, empty without one
}

// Member is the name of the member whose log it is.
func (l *Log) Member() string { return l.Config.Name }

// ReadLog reads a log from its directory. Damage is an error; a torn tail is told by Torn.
func ReadLog(dir string) (*Log, error) {
	l := &Log{Dir: dir}
	reader := eventlog.Read(dir)
	for pair, err := range eventlog.Pairs(reader.All()) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", dir, err)
		}
		l.add(pair)
	}
	if torn := reader.TornTail(); torn != nil {
		l.Torn = fmt.Sprint(torn)
	}
	if l.Member() == "" {
		return nil, fmt.Errorf("read %s: %w", dir, errors.New("it is empty, or holds no start of the agent: nothing can be decided again"))
	}
	return l, nil
}

func (l *Log) add(p eventlog.Pair) {
	switch {
	case p.Gap != nil:
		l.lose(fmt.Sprintf("%d records are missing, of the inputs %d to %d", p.Gap.Missing, p.Gap.From, p.Gap.To))
		return
	case p.Input == nil:
		l.lose(fmt.Sprintf("input %d is missing", p.Decision.Input))
		return
	}
	started, starts := p.Input.Fact.(events.Started)
	if starts {
		l.Config, l.Version = started.Member, started.Version
	}
	if starts || len(l.Lives) == 0 {
		l.Lives = append(l.Lives, Life{Whole: starts, Lost: -1})
	}
	life := l.last()
	if n := len(life.Steps); n > 0 && p.Input.Seq != life.Steps[n-1].In.Seq+1 {
		l.lose(fmt.Sprintf("the inputs between %d and %d are missing", life.Steps[n-1].In.Seq, p.Input.Seq))
	}
	life.Steps = append(life.Steps, Step{In: *p.Input, Decision: p.Decision})
}

func (l *Log) last() *Life { return &l.Lives[len(l.Lives)-1] }

// lose notes that something is missing at this place.
func (l *Log) lose(what string) {
	if len(l.Lives) == 0 {
		return
	}
	if life := l.last(); life.Lost < 0 {
		life.Lost, life.Missing = len(life.Steps), what
	}
}

// systemID is the identity of the cluster as the store told it, or else of the member's own data; empty when neither was ever seen.
func (l *Log) systemID() string {
	var store, own string
	see := func(key, value string) {
		if key == events.KeyInitialize && value != "" {
			store = value
		}
	}
	for i := range l.Lives {
		for j := range l.Lives[i].Steps {
			switch f := l.Lives[i].Steps[j].In.Fact.(type) {
			case events.DCSSnapshot:
				for k := range f.Keys {
					see(f.Keys[k].Key, f.Keys[k].Value)
				}
			case events.DCSChange:
				see(f.Key, f.Value)
			case events.PostgresObserved:
				if id := f.Observation.Control.SystemID; id != "" {
					own = id
				}
			}
		}
	}
	if store != "" {
		return store
	}
	return own
}
