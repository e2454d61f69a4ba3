package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// playable are the commands that a live stage knows, and the words behind the name that it does, all if nil.
var playable = map[string][]string{
	"clients": nil, "cluster": nil, "config": nil, "cut": nil, "empty": {"data"}, "expect": nil, "failover": nil, "freeze": {"agent", "agents"},
	"hang": {"postgres"}, "join": nil, "kill": {"agent", "agents", "guard", "guards", "postgres", "host", "hosts"}, "pause": nil, "promote": {"postgres"},
	"put": {"key"}, "reinit": nil, "remove": {"key"}, "replace": {"data"}, "restart": nil, "resume": nil,
	"start": {"agent", "agents", "host", "hosts"}, "stop": {"agent", "agents"},
	"store":      {"down", "up", "wiped", "healed", "kill", "start", "freeze", "thaw", "split"},
	"switchover": nil, "thaw": {"agent", "agents", "postgres"}, "until": nil, "wait": nil, "writes": nil,
}

// Plays tells what stands against a command, before anything is started.
func (s *Stage) Plays(words []string) error {
	what, known := playable[words[0]]
	next := ""
	if len(words) > 1 {
		next = words[1]
	}
	switch {
	case words[0] == "store" && next == "trouble":
		return errTrouble
	case !known, what != nil && !slices.Contains(what, next):
		return errors.New("only a model can do this, no real cluster")
	case s.opts.Store != Embedded && s.opts.Store != "":
		return nil
	case words[0] == "store":
		return ErrEmbedded
	case words[0] == "cluster" && slices.Contains(words, "start=none"):
		return errors.New("the embedded store needs agents that run, and the first of a scenario would start all")
	}
	return nil
}

// finalPatience bounds how long the cluster may take to become whole once everything is mended.
const finalPatience = 2 * time.Minute

// Verdict is what is judged of a play as a whole.
type Verdict struct {
	Acknowledged, Missing int
	Kept                  bool          // nothing may be missing
	Resolution            time.Duration // overlaps shorter than this could not be seen
	Healed                time.Duration // how long the cluster took to become whole
	Broken                []string
}

// Judge mends what the scenario left broken and demands that the cluster becomes whole (L1, L2), that no two members ever accepted writes at once (S1), that
// no acknowledged write is missing where none may be (S2), and that all event logs replay. It is for the end of a play.
func (s *Stage) Judge() (Verdict, error) {
	var v Verdict
	if err := s.mend(); err != nil {
		return v, fmt.Errorf("mend what the scenario broke: %w", err)
	}
	began := time.Now()
	why := ""
	whole, err := s.Await(finalPatience, func() (bool, error) {
		why = s.unwell()
		return why == "", nil
	})
	if err != nil {
		return v, err
	}
	v.Healed, v.Resolution = time.Since(began), s.looks.Resolution()
	v.Broken = s.Broken()
	if !whole {
		v.Broken = append(v.Broken, fmt.Sprintf("L1, L2: everything is mended, and after %v %s; %s", finalPatience, why, s.c.describe()))
	}
	if err := s.Write(0); err != nil {
		return v, err
	}
	if leader, err := s.Leader(); err == nil && leader != "" && len(s.writers) > 0 {
		if v.Acknowledged, v.Missing, err = s.Writes(); err != nil {
			return v, err
		}
		v.Kept = s.keepsWrites()
		if v.Kept && v.Missing > 0 {
			v.Broken = append(v.Broken, fmt.Sprintf("S2: %d of %d acknowledged writes are missing, and the lead never changed, or only in order",
				v.Missing, v.Acknowledged))
		}
	}
	ctx, cancel := context.WithTimeout(s.ctx, finalPatience)
	defer cancel()
	if err := s.c.ReplayLogs(ctx); err != nil {
		v.Broken = append(v.Broken, "S10: "+err.Error())
	}
	return v, nil
}

// mend ends cuts, freezes and maintenance, and starts what is down.
func (s *Stage) mend() error {
	errs := []error{s.healNetwork()}
	for _, server := range s.c.servers {
		if server.proc.running() {
			errs = append(errs, server.signal(unix.SIGCONT))
		} else {
			errs = append(errs, server.start())
		}
	}
	for _, m := range s.c.members {
		if s.hung[m.Name] {
			errs = append(errs, s.ResumePostgres(m.Name))
		}
		switch {
		case s.frozen[m.Name]:
			errs = append(errs, s.ThawAgent(m.Name))
		case s.down[m.Name]:
			errs = append(errs, s.BootHost(m.Name))
		case m.AgentPID() == 0:
			errs = append(errs, m.StartAgent())
		}
	}
	for _, m := range s.c.members {
		if st, err := s.c.Status(s.ctx, m); err == nil && st.Paused {
			_, err := s.PatchConfig(json.RawMessage(`{"pause": null}`))
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// unwell tells what is missing for a whole cluster, empty if nothing is: one leader from which all others stream, but for members that only a person can help.
func (s *Stage) unwell() string {
	leader, err := s.Leader()
	if leader == "" || err != nil {
		return "nobody leads"
	}
	var well []*Member
	for _, m := range s.c.members {
		if s.stateOf(m) != "stranded" {
			well = append(well, m)
		}
	}
	missing, err := s.notFollowing(s.member(leader), well)
	if err != nil {
		return err.Error()
	}
	return missing
}

// String is the verdict in a few lines.
func (v *Verdict) String() string {
	lines := slices.Clone(v.Broken)
	holds := func(judge, format string, args ...any) {
		if !slices.ContainsFunc(v.Broken, func(b string) bool { return strings.HasPrefix(b, judge) }) {
			lines = append(lines, judge+": "+fmt.Sprintf(format, args...))
		}
	}
	holds("S1", "no two members accepted writes at once, for %v or longer", v.Resolution.Round(time.Millisecond))
	switch {
	case v.Acknowledged == 0:
		holds("S2", "nothing was written")
	case v.Kept:
		holds("S2", "of %d acknowledged writes, none is missing, as was promised", v.Acknowledged)
	default:
		holds("S2", "of %d acknowledged writes, %d are missing; after a failover some may be", v.Acknowledged, v.Missing)
	}
	holds("L1, L2", "one leader; all others stream, or say that only a person can help; %v after everything was mended", v.Healed.Round(100*time.Millisecond))
	holds("S10", "every decision in the event logs was decided again, and came out equal")
	return strings.Join(lines, "\n")
}
