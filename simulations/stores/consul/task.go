package consul

import (
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

const (
	// leastShare and mostShare bound the time that one server gets to answer before the next is asked.
	leastShare = 250 * time.Millisecond
	mostShare  = 1500 * time.Millisecond
	loneShare  = 5 * time.Second // where there is no next server
	// suspicion is how long a server that failed to answer is asked last.
	suspicion = 5 * time.Second
	// breather is the pause after all servers failed.
	breather = 100 * time.Millisecond
)

// task is one step of an operation: a request that is sent to one server after another until one answers.
type task struct {
	a        *agent
	req      request
	deadline events.Instant
	then     func(*result)
	repeat   bool // it may be sent again when it may have been applied
	only     int  // the one server to ask, -1 for all
	patience time.Duration

	server  int
	attempt int
	pending bool
	turn    int
	maybe   bool // an attempt may have been applied
	reason  string
}

// try asks servers in turn. then is called once, later, unless the agent ends before.
func (a *agent) try(deadline events.Instant, repeat bool, req request, then func(*result)) {
	t := &task{a: a, req: req, deadline: deadline, then: then, repeat: repeat, only: -1}
	a.tasks = append(a.tasks, t)
	t.next()
}

// on asks one server only, for at most patience.
func (a *agent) on(server int, deadline events.Instant, patience time.Duration, req request, then func(*result)) {
	t := &task{a: a, req: req, deadline: deadline, then: then, only: server, patience: patience}
	a.tasks = append(a.tasks, t)
	t.next()
}

func (t *task) next() {
	env := t.a.m.env
	left := t.deadline.Sub(env.Now())
	if left <= 0 {
		t.attempt++
		t.pending = true
		n := t.attempt
		env.After(0, func() { t.expired(n) })
		return
	}
	t.server = t.only
	if t.only < 0 {
		t.server = t.a.order(t.turn)
	}
	t.attempt++
	t.pending = true
	n := t.attempt
	d, fate := t.a.line.Send(t.server)
	switch fate {
	case stores.Arrives:
		c := &call{request: t.req, t: t, via: t.a.m.servers[t.server], attempt: n}
		env.After(d, c.arrive)
	case stores.Resets:
		env.After(d, func() { t.settle(n, &result{class: refused, reason: "connection refused"}) })
	case stores.Vanishes:
	}
	env.After(min(t.share(left), left), func() {
		if t.pending && t.attempt == n { // else settle would leave it at that
			t.settle(n, &result{class: ambiguous, reason: "no answer"})
		}
	})
}

func (t *task) share(left time.Duration) time.Duration {
	if t.patience > 0 {
		return t.patience
	}
	servers := len(t.a.m.servers)
	if servers == 1 {
		return loneShare
	}
	return min(max(left/time.Duration(servers-t.turn%servers), leastShare), mostShare)
}

// receive takes the answer to an attempt from a server and carries it home.
func (t *task) receive(c *call) {
	d, fate := t.a.line.Return(c.via.id)
	switch fate {
	case stores.Arrives:
		t.a.m.env.After(d, func() { t.settle(c.attempt, &c.answer) })
	case stores.Resets:
		t.breaks(c.attempt, d)
	case stores.Vanishes:
	}
}

// breaks tells the client, after d, that the connection broke before an answer came.
func (t *task) breaks(attempt int, d time.Duration) {
	t.a.m.env.After(d, func() { t.settle(attempt, &result{class: ambiguous, reason: "connection broken"}) })
}

// settle takes what became of an attempt, unless something did before.
func (t *task) settle(attempt int, r *result) {
	if !t.pending || t.attempt != attempt || t.a.closed {
		return
	}
	t.pending = false
	r.by, r.maybe = t.server, t.maybe
	if r.class == answered {
		t.a.prefer, t.a.suspects[t.server] = t.server, 0
		t.finish(r)
		return
	}
	env := t.a.m.env
	t.a.suspects[t.server] = env.Now().Add(suspicion)
	t.maybe = t.maybe || r.class == ambiguous
	t.reason = r.reason
	if t.only >= 0 || t.maybe && !t.repeat {
		t.fail()
		return
	}
	t.turn++
	if t.turn%len(t.a.m.servers) != 0 {
		t.next()
		return
	}
	env.After(min(breather, max(0, t.deadline.Sub(env.Now()))), func() {
		if !t.a.closed {
			t.next()
		}
	})
}

// expired ends a task whose deadline has come between two attempts.
func (t *task) expired(attempt int) {
	if t.pending && t.attempt == attempt && !t.a.closed {
		t.pending = false
		if t.reason == "" {
			t.reason = "the context has ended"
		}
		t.fail()
	}
}

func (t *task) fail() {
	r := result{class: refused, reason: t.reason, maybe: t.maybe, by: t.server}
	if t.maybe {
		r.class = ambiguous
	}
	t.finish(&r)
}

func (t *task) finish(r *result) {
	if i := slices.Index(t.a.tasks, t); i >= 0 {
		t.a.tasks = slices.Delete(t.a.tasks, i, i+1)
	}
	t.then(r)
}

// order is the turn-th server to ask: from the preferred one on, those under suspicion last.
func (a *agent) order(turn int) int {
	n, now := len(a.suspects), a.m.env.Now()
	turn %= n
	for _, wantSuspect := range [...]bool{false, true} {
		for i := range n {
			s := (a.prefer + i) % n
			if (a.suspects[s] > now) != wantSuspect {
				continue
			}
			if turn == 0 {
				return s
			}
			turn--
		}
	}
	return a.prefer
}

// broken tells the agent that a server died: the connections to it break.
func (a *agent) broken(s *server) {
	for _, t := range a.tasks {
		if t.pending && t.server == s.id {
			if d, fate := a.line.Return(s.id); fate != stores.Vanishes {
				t.breaks(t.attempt, d)
			}
		}
	}
}
