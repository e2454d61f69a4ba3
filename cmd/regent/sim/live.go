package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/live"
	"github.com/regent-ha/regent/simulations/scenario"
)

// LiveOptions say which scenarios are played on real processes.
type LiveOptions struct {
	Files   []string
	Store   string
	Scale   int // times of the scenario are divided by it
	Keep    bool
	Verbose bool
	Binary  string
	User    string
	Out     io.Writer
	Log     io.Writer
}

// LiveStores are the stores that scenarios can be played live with.
var LiveStores = []string{live.Etcd, live.Embedded, live.Nats}

func (o *LiveOptions) check() error {
	switch {
	case len(o.Files) == 0:
		return errors.New("which scenario?")
	case !slices.Contains(LiveStores, o.Store):
		return fmt.Errorf("--backend %s: want one of %s", o.Store, strings.Join(LiveStores, ", "))
	case o.Scale < 1:
		return fmt.Errorf("--scale %d: want at least 1", o.Scale)
	}
	return nil
}

// ErrNotHeld says that something did not hold that a scenario expects, or that is judged. It was printed.
var ErrNotHeld = errors.New("a scenario did not hold")

// Live plays scenarios on real agents, one after the other, and prints what members decided beside what the file tells. The error is
// ErrNotHeld if something judged did not hold.
func Live(ctx context.Context, o LiveOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	var files []*scenario.File
	for _, path := range o.Files {
		f, err := scenario.Read(path)
		if err == nil && !f.PlaysOn(o.kind()) {
			err = fmt.Errorf("%s: it is about other stores: %s", path, strings.Join(f.Stores, ", "))
		}
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	failed := false
	for _, f := range files {
		switch err := o.play(ctx, f); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrNotHeld):
			failed = true
		case err != nil:
			return err
		}
	}
	if failed {
		return ErrNotHeld
	}
	return nil
}

// kind is the store's, as the files name it.
func (o *LiveOptions) kind() string {
	if o.Store == live.Embedded {
		return live.Etcd
	}
	return o.Store
}

// play plays one scenario, judges it, and leaves nothing behind.
func (o *LiveOptions) play(ctx context.Context, f *scenario.File) (err error) {
	s := live.NewStage(ctx, live.Options{Store: o.Store, Binary: o.Binary, User: o.User, Log: o.Log, KeepOnFail: o.Keep}, o.Scale)
	defer func() {
		if s.Cluster() != nil { // kept if that was asked for
			s.Cluster().Failed()
		}
		err = errors.Join(err, s.Close())
	}()
	a := &audience{o: o, began: time.Now()}
	a.print("%s, on %s: %s", f.Path, o.Store, f.Title)
	if _, err := scenario.PlayBefore(f, s, a); err != nil {
		if s.Cluster() == nil || ctx.Err() != nil {
			return errors.Join(err, a.err)
		}
		a.print("FAILED: %v", err)
		return errors.Join(ErrNotHeld, a.err)
	}
	v, err := s.Judge()
	if err != nil {
		return err
	}
	a.print("\n%s", v.String())
	a.print("%s", a.paths())
	a.print("it took %v", time.Since(a.began).Round(100*time.Millisecond))
	if len(v.Broken) > 0 {
		return errors.Join(ErrNotHeld, a.err)
	}
	return a.err
}

// audience prints how a play goes on.
type audience struct {
	o     *LiveOptions
	began time.Time
	whole []scenario.Comparison // of all blocks together
	err   error                 // of printing
}

func (a *audience) print(format string, args ...any) {
	if _, err := fmt.Fprintf(a.o.Out, format+"\n", args...); err != nil && a.err == nil {
		a.err = err
	}
}

// Begins prints the commands of a block.
func (a *audience) Begins(b *scenario.Block) {
	for i, c := range b.Commands() {
		at := ""
		if i == 0 {
			a.print("")
			at = fmt.Sprintf("%.1f s", time.Since(a.began).Seconds())
		}
		a.print("%8s  %s", at, c)
	}
}

// Ended prints what members went through, beside what the file tells where that is something else.
func (a *audience) Ended(b *scenario.Block, came scenario.Output) {
	if len(came) == 0 {
		return // it failed before anything was seen
	}
	for _, c := range b.Compare(a.o.kind(), came) {
		if a.o.Store != live.Embedded || !strings.HasPrefix(b.Commands()[0], "cluster ") { // there all start at once, which no file tells
			a.add(c)
		}
		if c.Same() {
			a.print("  %s  as in the file: %s", c.Member, strings.Join(c.Came, " "))
			continue
		}
		a.print("  %s  in the file: %s\n      live: %s", c.Member, steps(c.Want), steps(c.Came))
	}
	if a.o.Verbose {
		a.print("  %s", strings.ReplaceAll(came.String(), "\n", "\n  "))
		return
	}
	for _, e := range came {
		if e.Key == "writes" || e.Key == "all stay" {
			a.print("  %s: %s", e.Key, strings.Join(e.Lines, "\n"))
		}
	}
}

// add appends what a member went through in a block.
func (a *audience) add(c scenario.Comparison) {
	i := slices.IndexFunc(a.whole, func(w scenario.Comparison) bool { return w.Member == c.Member })
	if i < 0 {
		a.whole = append(a.whole, c)
		return
	}
	w := &a.whole[i]
	w.Want, w.Came = slices.Concat(w.Want, c.Want), slices.Concat(w.Came, c.Came)
}

// paths tells who went the whole way that the file tells, wherever its blocks end.
func (a *audience) paths() string {
	var same, other []string
	for _, w := range a.whole {
		if w.Same() {
			same = append(same, w.Member)
		} else {
			other = append(other, w.Member)
		}
	}
	text := "the way that the file tells: " + steps(same)
	if len(other) > 0 {
		text += "; another: " + strings.Join(other, " ")
	}
	return text
}

func steps(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, " ")
}
