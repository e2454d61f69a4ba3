package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/regent-ha/regent/simulations/live"
)

const (
	writeEvery = 50 * time.Millisecond
	drawEvery  = 200 * time.Millisecond
	countLimit = 3 * time.Second // for the last count of lost writes
	plainEvery = 2 * time.Second
)

// Show runs the members until the person quits, or ctx ends, which is no error.
func Show(ctx context.Context, o Options) error {
	say := func(text string) { _, _ = fmt.Fprintln(o.Out, text) } // if the terminal is gone, the loop will notice
	s, err := open(ctx, o, say)
	if err != nil {
		return err
	}
	w, err := s.show(ctx)
	say("ending the members ...")
	if w != nil {
		say(account(ctx, w))
		w.Stop()
	}
	err = errors.Join(err, s.close())
	if s.kept != "" {
		say("kept " + s.kept)
	}
	if err == nil {
		say("nothing is left of the demo.")
	}
	return err
}

// account is the last word about the writes.
func account(ctx context.Context, w *live.Writer) string {
	var p live.Progress
	p.Read(w)
	text := fmt.Sprintf("%d writes were acknowledged, longest gap %.1f s", p.Acked, p.Longest.Seconds())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countLimit)
	defer cancel()
	missing, err := w.Missing(ctx)
	if err != nil {
		return text + "; not known how many of them are lost, because no member leads"
	}
	return fmt.Sprintf("%s, %d of them are lost", text, missing)
}

// show is the demo between start and end. The writer is nil if there was never a leader.
func (s *session) show(ctx context.Context) (w *live.Writer, err error) {
	sample, err := newSampler(s.cluster, s.o.Timing.String(), s.home.note)
	if err != nil {
		return nil, err
	}
	l, err := listen(s.home.socket())
	if err != nil {
		return nil, err
	}
	g := newGroup(ctx)
	hands := &hands{s.cluster, func() Picture { return sample.picture(s.began) }}
	order := func(ctx context.Context, o Order) Answer { return s.order(ctx, g, sample, hands, o) }
	fresh := make(chan struct{}, 1)
	poke := func() {
		select {
		case fresh <- struct{}{}:
		default: // a redraw is due already
		}
	}
	g.run(func(ctx context.Context) error { return sample.run(ctx, poke) })
	g.run(func(ctx context.Context) error { return serve(ctx, l, order) })
	g.run(func(ctx context.Context) error {
		started, err := live.StartWriter(ctx, s.cluster, writeEvery)
		if err != nil {
			return err // ctx has ended: it waits for a leader for ever
		}
		w = started
		sample.setWriter(w)
		return nil
	})
	g.run(func(ctx context.Context) error {
		defer g.end() // the view has been left
		if s.o.Plain || !canPaint(s.o.In, s.o.Out) {
			return s.plain(ctx, sample)
		}
		return s.paint(ctx, g, sample, order, fresh)
	})
	return w, g.wait()
}

// order carries out an order from a key or the socket, and shows what became of it.
func (s *session) order(ctx context.Context, g *group, sample *sampler, h *hands, o Order) Answer {
	switch o.Verb {
	case Stop:
		g.end()
		return Answer{OK: true, Text: "the demo ends"}
	case StatusVerb:
		p := sample.picture(s.began)
		return Answer{OK: true, Text: statusText(&p) + "\n" + s.addresses()}
	}
	member, text, err := h.do(ctx, o)
	if err != nil {
		text = err.Error()
		sample.say(member, fmt.Sprintf("%s: %s", o.Verb, strings.ReplaceAll(text, "\n", "; ")), true)
		return Answer{Text: text}
	}
	sample.say(member, text, false)
	return Answer{OK: true, Text: text}
}

// paint is the view on a terminal.
func (s *session) paint(ctx context.Context, g *group, sample *sampler, order func(context.Context, Order) Answer, fresh <-chan struct{}) (err error) {
	terminal := readTerminal(s.o.In)
	if terminal == nil {
		return errors.New("the terminal is gone")
	}
	if err := terminal.raw(); err != nil {
		return err
	}
	scr := &screen{out: s.o.Out, colour: os.Getenv("NO_COLOR") == ""}
	_, err = s.o.Out.WriteString(enterScreen)
	defer func() {
		_, e := s.o.Out.WriteString(leaveScreen)
		if ctx.Err() != nil && err == nil {
			e = nil // a terminal that hung up ended the demo, and cannot be written to
		}
		err = errors.Join(err, e, terminal.restore())
	}()
	if err != nil {
		return err
	}
	keys, err := s.readKeys(g)
	if err != nil {
		return err
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		p := sample.picture(s.began)
		width, height := windowSize(s.o.Out)
		if err := scr.draw(Render(&p, width, height)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-fresh:
		case <-tick.C:
		case <-resized:
		case k := <-keys:
			switch {
			case k.Quit:
				return nil
			case k.Choice || k.Move != 0:
				sample.choose(k)
			case k.Verb != "":
				o := Order{Verb: k.Verb, Member: keyTarget(&p, k.Verb)}
				g.run(func(ctx context.Context) error { order(ctx, o); return nil })
			case k.Redraw:
				if _, err := s.o.Out.WriteString("\x1b[2J"); err != nil {
					return err
				}
			}
		}
	}
}

// keyTarget is whom a key is for. A switch-over goes to the chosen member, and from the leader to whoever is best.
func keyTarget(p *Picture, v Verb) string {
	if v == Switchover && p.Target == p.Leader {
		return ""
	}
	if m := p.member(p.Target); m != nil && (v == Thaw && m.Agent != ProcessFrozen || v == StartMember && m.Agent != ProcessDown) {
		return "" // the one that needs it
	}
	return p.Target
}

// readKeys has the keys read until the group ends.
func (s *session) readKeys(g *group) (<-chan Key, error) {
	r, err := newReader(s.o.In)
	if err != nil {
		return nil, err
	}
	keys := make(chan Key)
	g.run(func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = r.end() }) // the pipe is empty: it takes a byte
		var rest []byte
		err := r.run(func(in []byte) {
			var got []Key
			got, rest = ParseKeys(append(rest, in...))
			for _, k := range got {
				select {
				case keys <- k:
				case <-ctx.Done():
				}
			}
		})
		if !stop() {
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			err = nil // the terminal hung up while the demo ended
		}
		return errors.Join(err, r.close())
	})
	return keys, nil
}

// group runs goroutines until the first of them fails or the group is ended, and joins them.
type group struct {
	ctx context.Context
	end context.CancelFunc
	wg  sync.WaitGroup
	mu  sync.Mutex
	err error
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.end = context.WithCancel(ctx)
	return g
}

func (g *group) run(f func(context.Context) error) {
	g.wg.Go(func() {
		err := f(g.ctx)
		if err == nil || g.ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return
		}
		g.mu.Lock()
		g.err = errors.Join(g.err, err)
		g.mu.Unlock()
		g.end()
	})
}

func (g *group) wait() error {
	g.wg.Wait()
	g.end()
	return g.err
}
