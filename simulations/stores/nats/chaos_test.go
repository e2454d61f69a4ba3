package nats

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// world is members that contend, write and read while everything breaks.
type world struct {
	*lab
	seed     uint64
	all      []*actor
	epoch    uint64 // highest that was won
	expected map[uint64]string
	acked    uint64 // highest revision of a put that was acknowledged
	hash     uint64
	outcomes map[string]int
}

// actor is a member with what it believes.
type actor struct {
	*member
	w      *world
	busy   int
	claims bool // acquires now: an agent does so once at a time
	epoch  uint64
	until  events.Instant
	status uint64 // revision that its last snapshot showed
	leader events.KeyValue
}

const chaosTTL = 20 * time.Second

func newWorld(t testing.TB, seed uint64) *world {
	servers := []int{1, 3, 3, 5}[seed%4]
	w := &world{lab: newLab(t, seed, Options{Servers: servers}), seed: seed, expected: map[uint64]string{}, outcomes: map[string]int{}}
	for i := range 3 {
		a := &actor{member: w.open(fmt.Sprintf("n%d", i+1)), w: w}
		a.s.Watch(a.sink)
		w.all = append(w.all, a)
		a.next()
	}
	return w
}

func (w *world) pick(label string, n int) int { return w.k.Domain("test").Pick(label, n) }

// do performs a request and checks what is promised of every answer.
func (a *actor) do(r stores.Request, within time.Duration, then func(stores.Response)) {
	w, answers, s := a.w, 0, a.s
	r.Deadline = w.k.Now().Add(within)
	a.busy++
	a.s.Do(r, func(got stores.Response) {
		if s != a.s {
			w.Errorf("seed %d: an answer after Close", w.seed)
		}
		if answers++; answers > 1 || w.k.Now() > r.Deadline.Add(time.Millisecond) {
			w.Errorf("seed %d: answer %d to %+v came at %d", w.seed, answers, r, w.k.Now())
		}
		a.busy--
		w.outcomes[fmt.Sprintf("%d %s", r.Op, got.Outcome)]++
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%d %d %s %+v", w.hash, w.k.Now(), a.name, got)
		w.hash = h.Sum64()
		then(got)
	})
}

// next is what a member does again and again.
func (a *actor) next() {
	w, s := a.w, a.s
	w.k.After(time.Duration(200+w.pick("pause", 3000))*time.Millisecond, func() {
		if s != a.s {
			return // its agent died
		}
		if a.busy < 6 {
			a.act()
		}
		a.next()
	})
}

func (a *actor) act() {
	w := a.w
	within := []time.Duration{5 * time.Second, 300 * time.Millisecond, 0}[w.pick("deadline", 12)/5]
	switch {
	case w.pick("what is not ours", 50) == 0:
		op := []stores.Op{stores.Release, stores.HandOver}[w.pick("which", 2)]
		a.do(stores.Request{Op: op, Epoch: 1, To: a.name, TTL: chaosTTL}, time.Second, func(stores.Response) {})
	case a.epoch != 0:
		a.renew(within)
	default:
		a.look(within)
	}
	switch w.pick("write", 4) {
	case 0:
		a.do(stores.Request{Op: stores.PutMember, Value: "{}", TTL: chaosTTL}, within, func(stores.Response) {})
	case 1:
		a.casStatus(within)
	case 2:
		key := []string{"history", "failover"}[w.pick("key", 2)]
		if w.pick("delete", 3) == 0 {
			a.do(stores.Request{Op: stores.Delete, Key: key, Expect: events.Any}, within, func(stores.Response) {})
		} else {
			a.do(stores.Request{Op: stores.Put, Key: key, Value: a.name, Expect: events.Any}, within, func(stores.Response) {})
		}
	}
}

// casStatus writes on top of what was read: of many who read the same, one may win.
func (a *actor) casStatus(within time.Duration) {
	w, expect := a.w, a.status
	a.do(stores.Request{Op: stores.Put, Key: "status", Value: a.name, Expect: int64(expect)}, within, func(r stores.Response) {
		if r.Outcome != events.Done {
			return
		}
		if former, twice := w.expected[expect]; twice && expect != 0 {
			w.Errorf("seed %d: %s and %s both replaced revision %d", w.seed, former, a.name, expect)
		}
		w.expected[expect] = a.name
		a.status, w.acked = r.Revision, max(w.acked, r.Revision)
	})
}

func (a *actor) look(within time.Duration) {
	w, before := a.w, a.w.acked
	a.do(stores.Request{Op: stores.Snapshot}, within, func(r stores.Response) {
		if r.Outcome != events.Done {
			return
		}
		a.status, a.leader = 0, events.KeyValue{}
		for _, kv := range r.Snapshot.Keys {
			switch kv.Key {
			case "status":
				a.status = kv.Revision
			case "leader":
				a.leader = kv
			}
		}
		if a.status < before {
			w.Errorf("seed %d: a snapshot shows status at %d after %d was acknowledged", w.seed, a.status, before)
		}
		if a.epoch == 0 && !a.claims && (a.leader.Key == "" || a.leader.Value == a.name) {
			a.contend(within)
		}
	})
}

func (a *actor) contend(within time.Duration) {
	w := a.w
	a.claims = true
	a.do(stores.Request{Op: stores.Acquire, Expect: int64(a.leader.Revision), TTL: chaosTTL}, within, func(r stores.Response) {
		a.claims = false
		if r.Outcome != events.Done {
			return
		}
		if r.Lease.Epoch <= w.epoch {
			w.Errorf("seed %d: epoch %d after %d", w.seed, r.Lease.Epoch, w.epoch)
		}
		w.epoch, a.epoch = r.Lease.Epoch, r.Lease.Epoch
		a.rely(r)
	})
}

func (a *actor) renew(within time.Duration) {
	w, epoch := a.w, a.epoch
	r := stores.Request{Op: stores.Renew, Epoch: epoch, TTL: chaosTTL}
	switch w.pick("give up", 30) {
	case 0:
		r.Op = stores.Release
	case 1, 2:
		r.Op, r.To = stores.HandOver, "n1"
	}
	if r.Op != stores.Renew {
		a.epoch, a.until = 0, 0 // whatever comes of it
	}
	a.do(r, within, func(got stores.Response) {
		switch {
		case a.epoch != epoch:
		case got.Outcome == events.Done:
			a.rely(got)
		case got.Outcome == events.Lost:
			a.epoch, a.until = 0, 0
		}
	})
}

// rely notes until when a member relies on its lease, unless that is over already.
func (a *actor) rely(r stores.Response) {
	a.until = max(a.until, r.Lease.SentAt.Add(r.Lease.TTL))
	a.w.check()
}

// check compares what members rely on with the truth.
func (w *world) check() {
	now, relying := w.k.Now(), 0
	for _, a := range w.all {
		if a.epoch == 0 {
			continue
		}
		if now >= a.until {
			a.epoch, a.until = 0, 0
			continue
		}
		relying++
		if t := w.m.Truth(); t.Holder != a.name || t.Epoch != a.epoch || t.Ends < a.until {
			w.Errorf("seed %d at %v: %s relies on epoch %d for %v, the truth is %+v", w.seed, w.k.Since(), a.name, a.epoch, a.until.Sub(now), t)
			a.epoch, a.until = 0, 0
		}
	}
	if relying > 1 {
		w.Errorf("seed %d: %d members rely on the lease", w.seed, relying)
	}
}

// hurt breaks something or heals something.
func (w *world) hurt() {
	m, n := w.m, len(w.m.servers)
	i := w.pick("server", n)
	a := w.all[w.pick("member", len(w.all))]
	if w.pick("heal", 4) == 0 {
		w.heal()
		return
	}
	switch w.pick("fault", 11) {
	case 0:
		m.Kill(i)
	case 1, 2:
		m.Start(i)
	case 3:
		m.Freeze(i)
	case 4:
		m.Thaw(i)
	case 5:
		group := make([]int, n)
		group[i] = 1
		m.Split(group)
	case 6:
		m.Join()
	case 7:
		if all := m.Troubles(); true {
			if tr := all[w.pick("trouble", len(all))]; tr.Name != "the stream is recreated" { // the lease goes with it, whoever relies on it
				tr.Do()
			}
		}
	case 8:
		a.line.Lost, a.line.Broken = []int{0, 50, 300}[w.pick("lost", 3)], []int{0, 20}[w.pick("broken", 2)]
		a.line.Most = []time.Duration{0, 20 * time.Millisecond, 2 * time.Second}[w.pick("slow", 3)]
	case 9:
		fate := []stores.Fate{stores.Arrives, stores.Vanishes, stores.Resets}[w.pick("fate", 3)]
		way := &a.line.Out
		if w.pick("way", 2) == 1 {
			way = &a.line.Back
		}
		*way = map[int]stores.Fate{i: fate}
	case 10:
		a.restart()
	}
}

// restart is the death of an agent and its next start.
func (a *actor) restart() {
	a.s.Close()
	a.epoch, a.until, a.claims, a.busy, a.snapshots, a.keys = 0, 0, false, 0, 0, nil
	a.s = a.w.m.Open(a.name, a.line).(*session)
	a.s.Watch(a.sink)
	a.next()
}

func (w *world) heal() {
	w.m.Join()
	for i := range w.m.servers {
		w.m.Start(i)
		w.m.Thaw(i)
	}
	for _, a := range w.all {
		a.line.Lost, a.line.Broken, a.line.Most, a.line.Out, a.line.Back = 0, 0, 0, nil, nil
	}
}

// live lets members live among faults, and then in peace, in which all must be well again.
func (w *world) live(d time.Duration) {
	for end := w.k.Now().Add(d); w.k.Now() < end; {
		w.run(time.Duration(500+w.pick("until the next fault", 6000)) * time.Millisecond)
		w.check()
		w.hurt()
	}
	w.heal()
	w.run(60 * time.Second)
	if w.m.Leader() < 0 {
		w.Errorf("seed %d: no leader a minute after healing", w.seed)
	}
	if w.m.Truth().Holder == "" {
		w.run(chaosTTL)
	}
	if w.m.Truth().Holder == "" {
		w.Errorf("seed %d: nobody holds the lease after healing", w.seed)
	}
	for _, a := range w.all {
		if a.ask(stores.Request{Op: stores.Put, Key: "config", Value: a.name, Expect: events.Any}, 5*time.Second).Outcome != events.Done {
			w.Errorf("seed %d: %s cannot write after healing", w.seed, a.name)
		}
		if len(a.bad) > 0 {
			w.Errorf("seed %d: watch of %s: %v", w.seed, a.name, a.bad)
		}
	}
	same := func(a *actor) bool {
		now := w.m.Contents()
		if len(now.Keys) != len(a.keys) {
			return false
		}
		for _, kv := range now.Keys {
			if a.keys[kv.Key] != kv {
				return false
			}
		}
		return true
	}
	for _, a := range w.all {
		if !w.k.RunUntil(5*time.Second, func() bool { return same(a) }) {
			w.Errorf("seed %d: the watch of %s shows %v, the store has %v", w.seed, a.name, a.keys, w.m.Contents())
		}
	}
}

func TestChaos(t *testing.T) {
	outcomes := map[string]int{}
	var events uint64
	const seeds, each = 80, 10 * time.Minute
	for seed := uint64(1); seed <= seeds && !t.Failed(); seed++ {
		w := newWorld(t, seed)
		w.live(each)
		for k, n := range w.outcomes {
			outcomes[k] += n
		}
		events += w.k.Events()
		if seed%10 == 0 {
			again := newWorld(t, seed)
			again.live(each)
			if again.hash != w.hash || again.k.Events() != w.k.Events() {
				t.Errorf("seed %d is not the same run twice", seed)
			}
		}
	}
	t.Logf("%d things happened; outcomes: %v", events, outcomes)
	for op := stores.Acquire; op <= stores.Snapshot; op++ {
		if op == stores.Prepare {
			continue
		}
		for _, want := range []string{"done", "unknown", "failed", "lost"} {
			may := true
			switch want {
			case "unknown":
				may = op != stores.Snapshot
			case "lost":
				may = op <= stores.HandOver || op == stores.Put
			case "failed":
				may = true
			}
			if may && outcomes[fmt.Sprintf("%d %s", op, want)] == 0 {
				t.Errorf("operation %d was never %s", op, want)
			}
		}
	}
}
