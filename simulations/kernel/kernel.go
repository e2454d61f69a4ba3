package kernel

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// Kernel is virtual time: an agenda of what is to happen, in order. Its zero value is not ready; New makes one. It belongs to one
// goroutine.
type Kernel struct {
	begin  events.Instant
	now    events.Instant
	seq    uint64
	agenda []slot
	free   []*entry // entries that were used up
	events uint64
	tape   *Tape
}

// slot is a place in the agenda. When an entry is due stands in its slot, so that ordering them looks at nothing else. Those of one instant
// happen in the order of their planning.
type slot struct {
	at  events.Instant
	seq uint64
	e   *entry
}

// entry is something that will happen.
type entry struct {
	do    func()
	timer *Timer // that owns the entry, nil for After's
	place int    // in the agenda, -1 when not in it
}

// Begin is the reading of true time when a run begins: not zero, which means "never" in many places.
const Begin = events.Instant(time.Hour)

// New makes a kernel whose choices come from a tape.
func New(t *Tape) *Kernel { return NewAt(t, Begin) }

// NewAt makes a kernel for a run that begins at an instant of its own: the continuation of something that was recorded.
func NewAt(t *Tape, begin events.Instant) *Kernel { return &Kernel{begin: begin, now: begin, tape: t} }

// Now is true time.
func (k *Kernel) Now() events.Instant { return k.now }

// Since is the time since the run began.
func (k *Kernel) Since() time.Duration { return k.now.Sub(k.begin) }

// Events is how many things have happened.
func (k *Kernel) Events() uint64 { return k.events }

// Tape is where the choices come from.
func (k *Kernel) Tape() *Tape { return k.tape }

// After plans something d from now; what is planned for the past happens now, after what is planned for now already.
func (k *Kernel) After(d time.Duration, do func()) {
	var e *entry
	if n := len(k.free); n > 0 {
		e, k.free = k.free[n-1], k.free[:n-1]
	} else {
		e = &entry{}
	}
	e.do = do
	k.plan(e, k.now.Add(max(d, 0)))
}

func (k *Kernel) plan(e *entry, at events.Instant) {
	k.seq++
	k.agenda = append(k.agenda, slot{at, k.seq, e})
	k.up(len(k.agenda) - 1)
}

// Timer is something that happens again and again at instants that are set one at a time. Setting one costs no allocation.
type Timer struct {
	k *Kernel
	e entry
}

// NewTimer makes a timer that is not set.
func (k *Kernel) NewTimer(do func()) *Timer {
	t := &Timer{k: k}
	t.e = entry{do: do, timer: t, place: -1}
	return t
}

// Set makes the timer fire at an instant, instead of when it was to fire before. An instant in the past is now.
func (t *Timer) Set(at events.Instant) {
	k := t.k
	at = max(at, k.now)
	if t.e.place < 0 {
		k.plan(&t.e, at)
		return
	}
	k.seq++
	place := t.e.place
	x := &k.agenda[place]
	later := at >= x.at // it is the newest of its instant
	x.at, x.seq = at, k.seq
	if later {
		k.down(place)
	} else {
		k.up(place)
	}
}

// Stop makes the timer not fire.
func (t *Timer) Stop() {
	if t.e.place >= 0 {
		t.k.remove(t.e.place)
	}
}

// At is when the timer fires, zero if it is not set.
func (t *Timer) At() events.Instant {
	if t.e.place < 0 {
		return 0
	}
	return t.k.agenda[t.e.place].at
}

// Due is when the next thing is planned for, zero when nothing is.
func (k *Kernel) Due() events.Instant {
	if len(k.agenda) == 0 {
		return 0
	}
	return k.agenda[0].at
}

// Next lets the next thing happen that is planned for no later than end; without one, time goes on to end. It tells whether
// there was one.
func (k *Kernel) Next(end events.Instant) bool {
	if len(k.agenda) == 0 || k.agenda[0].at > end {
		k.now = max(k.now, end)
		return false
	}
	e := k.agenda[0].e
	k.now = k.agenda[0].at
	k.remove(0)
	k.events++
	do := e.do
	if e.timer == nil {
		e.do = nil
		k.free = append(k.free, e)
	}
	do()
	return true
}

// Run lets d of virtual time pass.
func (k *Kernel) Run(d time.Duration) {
	for end := k.now.Add(d); k.Next(end); {
	}
}

// RunUntil lets time pass until ok holds, for at most d; it tells whether it does.
func (k *Kernel) RunUntil(d time.Duration, ok func() bool) bool {
	for end := k.now.Add(d); !ok(); {
		if !k.Next(end) {
			return ok()
		}
	}
	return true
}

// The agenda is a heap in which each entry has four children: it is shallow, and children lie together.
const children = 4

func (x *slot) before(y *slot) bool { return x.at < y.at || x.at == y.at && x.seq < y.seq }

func (k *Kernel) put(x slot, place int) {
	k.agenda[place] = x
	x.e.place = place
}

// up moves an entry towards the root as far as it belongs, and tells whether it moved.
func (k *Kernel) up(place int) bool {
	x, from := k.agenda[place], place
	for place > 0 {
		parent := (place - 1) / children
		if !x.before(&k.agenda[parent]) {
			break
		}
		k.put(k.agenda[parent], place)
		place = parent
	}
	k.put(x, place)
	return place != from
}

func (k *Kernel) down(place int) {
	a := k.agenda
	x := a[place]
	for {
		first := place*children + 1
		if first >= len(a) {
			break
		}
		least := first
		for c := first + 1; c < min(first+children, len(a)); c++ {
			if a[c].before(&a[least]) {
				least = c
			}
		}
		if !a[least].before(&x) {
			break
		}
		k.put(a[least], place)
		place = least
	}
	k.put(x, place)
}

func (k *Kernel) remove(place int) {
	last := len(k.agenda) - 1
	k.agenda[place].e.place = -1
	moved := k.agenda[last]
	k.agenda[last].e = nil
	k.agenda = k.agenda[:last]
	if place == last {
		return
	}
	k.put(moved, place)
	if place == 0 || !k.up(place) {
		k.down(place)
	}
}
