package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// run is a scenario that is being played.
type run struct {
	stage   Stage
	report  *report
	members []string
	// led is the leader when the block began.
	led string
}

// Choosy is a stage that cannot play every command. It is asked about all of them before the first is played.
type Choosy interface {
	// Plays tells what stands against a command. Words are those of its line without articles and the like; the first is its name.
	Plays(words []string) error
}

// Audience is told how a play goes on.
type Audience interface {
	Begins(b *Block)
	Ended(b *Block, came Output)
}

// Play lets the commands happen on a stage and tells what came of each block. It ends at the first command that fails; the
// outputs until then are there.
func Play(f *File, s Stage) ([]Output, error) { return PlayBefore(f, s, nil) }

// PlayBefore plays before an audience.
func PlayBefore(f *File, s Stage, a Audience) ([]Output, error) {
	if choosy, ok := s.(Choosy); ok {
		if err := f.playableBy(choosy); err != nil {
			return nil, err
		}
	}
	r := &run{stage: s, report: newReport()}
	s.Watch(r.report.see)
	var outputs []Output
	for _, b := range f.Blocks {
		if a != nil {
			a.Begins(b)
		}
		out, err := r.block(b)
		outputs = append(outputs, out)
		if a != nil {
			a.Ended(b, out)
		}
		if err != nil {
			var at *Error
			if errors.As(err, &at) {
				at.Path = f.Path
			}
			return outputs, err
		}
	}
	return outputs, nil
}

// playableBy names every command that the stage cannot play.
func (f *File) playableBy(s Choosy) error {
	var errs []error
	for _, b := range f.Blocks {
		for _, c := range b.commands {
			if err := s.Plays(c.words); err != nil {
				errs = append(errs, &Error{f.Path, c.line, fmt.Errorf("%s: %w", c.text, err)})
			}
		}
	}
	return errors.Join(errs...)
}

// block plays one block.
func (r *run) block(b *Block) (Output, error) {
	if len(r.members) > 0 {
		leader, err := r.stage.Leader()
		if err != nil {
			return nil, err
		}
		if leader != "" {
			r.led = leader
		}
	}
	for _, c := range b.commands {
		err := c.do(r)
		if broken := r.stage.Broken(); err == nil && len(broken) > 0 {
			err = fmt.Errorf("what must never be has been:\n%s", strings.Join(broken, "\n"))
		}
		if err != nil {
			out := r.report.output(r.members, nil)
			return out, &Error{"", c.line, fmt.Errorf("%s: %w\nuntil then:\n%s", c.text, err, out)}
		}
	}
	states, err := r.states()
	if err != nil {
		return nil, &Error{"", b.Line, err}
	}
	return r.report.output(r.members, states), nil
}

func (r *run) has(member string) bool { return slices.Contains(r.members, member) }

// states are the members' states, each as "n1 leading".
func (r *run) states() ([]string, error) {
	out := make([]string, len(r.members))
	for i, m := range r.members {
		state, err := r.stage.State(m)
		if err != nil {
			return nil, err
		}
		out[i] = m + " " + state
	}
	return out, nil
}

// build builds the cluster; it happens once.
func (r *run) build(c Cluster) error {
	if len(r.members) > 0 {
		return errors.New("the cluster is built already")
	}
	for i := range c.Members {
		r.members = append(r.members, fmt.Sprintf("n%d", i+1))
	}
	return r.stage.Build(c)
}
