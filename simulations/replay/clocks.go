package replay

import (
	"math"
	"slices"
	"time"

	"github.com/regent-ha/regent/events"
)

// clock is a boot clock: of one member's host, from one boot to the next.
type clock struct {
	log   int
	wall  int64         // wall time minus the clock's reading, in the middle of all that was seen
	by    time.Duration // what is added to its readings to get to the axis
	facts int           // shared facts that bound it
	steps int
}

// unbounded is the distance between two clocks that no fact bounds.
const unbounded = time.Duration(math.MaxInt64 / 4)

// wallDoubt is how far the wall clocks of two hosts are taken to be apart at most, where nothing else is known.
const wallDoubt = time.Second

// bounds holds, for each pair of clocks, the most by which the second may be ahead of the first: what is added to readings of j is at
// most bounds[i][j] more than what is added to those of i.
type bounds [][]time.Duration

// boots finds the clocks of all logs: a clock that goes back, or that leaves the wall clock by more than a minute while the agent did
// not run, is that of another boot. It returns which one each life of each log has.
func boots(logs []*Log) (clocks []clock, of [][]int) {
	for l, log := range logs {
		var last *events.Input
		of = append(of, nil)
		var walls []int64
		end := func() {
			if len(walls) > 0 {
				slices.Sort(walls)
				clocks[len(clocks)-1].wall = walls[len(walls)/2]
				walls = nil
			}
		}
		for i := range log.Lives {
			steps := log.Lives[i].Steps
			first := &steps[0].In
			if last == nil || first.At < last.At || apart(first, last) > time.Minute {
				end()
				clocks = append(clocks, clock{log: l})
			}
			of[l] = append(of[l], len(clocks)-1)
			clocks[len(clocks)-1].steps += len(steps)
			for j := range steps {
				walls = append(walls, steps[j].In.Wall-int64(steps[j].In.At))
			}
			last = &steps[len(steps)-1].In
		}
		end()
	}
	return clocks, of
}

func apart(a, b *events.Input) time.Duration {
	return (time.Duration(a.Wall-int64(a.At)) - time.Duration(b.Wall-int64(b.At))).Abs()
}

// place is a key with one of its texts, or with one of its revisions when the text does not matter.
type place struct {
	key, text string
	revision  uint64
}

// asked is a write that a member asked for.
type asked struct {
	clock int
	at    events.Instant
	view  uint64 // the revision that it had seen by then: that of the write is a later one
}

// seen is the first time that a clock saw a write.
type seen struct {
	clock    int
	at       events.Instant
	revision uint64
}

// shared are the writes and the sights of all logs.
type shared struct {
	asked map[place][]asked
	seen  map[place][]seen
	order []place // of the sights, so that nothing depends on a map's order
	dup   map[seenKey]bool
}

type seenKey struct {
	place
	clock int
}

// bound finds what shared facts say about the offsets between clocks.
func bound(logs []*Log, clocks []clock, of [][]int) bounds {
	s := shared{asked: map[place][]asked{}, seen: map[place][]seen{}, dup: map[seenKey]bool{}}
	for l, log := range logs {
		for i := range log.Lives {
			s.life(log.Member(), of[l][i], log.Lives[i].Steps)
		}
	}
	b := make(bounds, len(clocks))
	for i := range b {
		b[i] = make([]time.Duration, len(clocks))
		for j := range b[i] {
			if b[i][j] = unbounded; i == j {
				b[i][j] = 0
			}
		}
	}
	for _, p := range s.order {
		for _, sight := range s.seen[p] {
			s.compare(b, clocks, p, sight)
		}
	}
	return b
}

// compare bounds the clock of a sight by the first of the writes that may have been the one that was seen.
func (s *shared) compare(b bounds, clocks []clock, p place, sight seen) {
	done := map[int]bool{}
	for _, w := range s.asked[p] { // in the order of each clock's time
		if w.clock == sight.clock || done[w.clock] || w.view >= sight.revision {
			continue
		}
		done[w.clock] = true
		// asked + by(writer) <= seen + by(reader): the writer is ahead by at most the difference.
		if d := sight.at.Sub(w.at); d < b[sight.clock][w.clock] {
			b[sight.clock][w.clock] = d
		}
		clocks[sight.clock].facts++
		clocks[w.clock].facts++
	}
}

func (s *shared) life(member string, clock int, steps []Step) {
	flight := map[uint64]asked{} // writes whose revision the outcome tells
	for i := range steps {
		in := &steps[i].In
		s.fact(clock, in, flight)
		if d := steps[i].Decision; d != nil {
			for j := range d.Effects {
				s.effect(member, clock, in.At, &d.Effects[j], flight)
			}
		}
	}
}

func (s *shared) effect(member string, clock int, at events.Instant, e *events.Effect, flight map[uint64]asked) {
	w := asked{clock: clock, at: at, view: e.Revision}
	write := func(key, text string) {
		p := place{key: key, text: text}
		s.asked[p] = append(s.asked[p], w)
	}
	switch a := e.Action.(type) {
	case events.PutMember:
		write(events.KeyMembers+member, a.Value)
	case events.HandOverLease:
		write(events.KeyLeader, a.To)
	case events.PutKey, events.AcquireLease:
		flight[e.ID] = w
	}
}

func (s *shared) fact(clock int, in *events.Input, flight map[uint64]asked) {
	switch f := in.Fact.(type) {
	case events.DCSSnapshot:
		for i := range f.Keys {
			s.sight(clock, in.At, &f.Keys[i])
		}
	case events.DCSChange:
		if !f.Deleted {
			s.sight(clock, in.At, &f.KeyValue)
		}
	case events.LeaseOutcome:
		if f.Op == events.LeaseAcquire && f.Outcome == events.Done {
			s.wrote(events.KeyLeader, f.Epoch, flight[f.Effect])
		}
	case events.EffectFinished:
		if f.Action == events.ActPutKey && f.Outcome == events.Done && f.Result.Revision != 0 {
			s.wrote("", f.Result.Revision, flight[f.Effect])
		}
	}
}

// wrote notes a write of which the store told the revision.
func (s *shared) wrote(key string, revision uint64, w asked) {
	if w.at == 0 || revision == 0 {
		return
	}
	w.view = 0
	p := place{key: key, revision: revision}
	s.asked[p] = append(s.asked[p], w)
}

// sight notes that a clock saw a key: by its text, by its revision, and by its revision whatever the key.
func (s *shared) sight(clock int, at events.Instant, kv *events.KeyValue) {
	s.see(place{key: kv.Key, text: kv.Value}, seen{clock, at, kv.Revision})
	if kv.Key == events.KeyLeader {
		s.see(place{key: kv.Key, revision: kv.Revision}, seen{clock, at, kv.Revision})
		return
	}
	s.see(place{revision: kv.Revision}, seen{clock, at, kv.Revision})
}

func (s *shared) see(p place, x seen) {
	k := seenKey{p, x.clock}
	if s.dup[k] {
		return
	}
	s.dup[k] = true
	if s.seen[p] == nil {
		s.order = append(s.order, p)
	}
	s.seen[p] = append(s.seen[p], x)
}

// relax loosens bounds that contradict each other, as those of clocks whose rates differ do in the long run, and tells by how much.
func (b bounds) relax() (most time.Duration) {
	for i := range b {
		for j := range i {
			if b[i][j] == unbounded || b[j][i] == unbounded || b[i][j]+b[j][i] >= 0 {
				continue
			}
			by := -(b[i][j] + b[j][i])
			b[i][j], b[j][i] = b[i][j]+by/2, b[j][i]+by-by/2
			most = max(most, by)
		}
	}
	return most
}

// close lets bounds follow from each other: what bounds a and b, and b and c, bounds a and c.
func (b bounds) close() {
	for via := range b {
		for i := range b {
			for j := range b {
				if b[i][via] != unbounded && b[via][j] != unbounded && b[i][via]+b[via][j] < b[i][j] {
					b[i][j] = b[i][via] + b[via][j]
				}
			}
		}
	}
}

// set places every clock on the axis: in the middle of what the bounds to those that have their place allow, or where the wall clocks
// say, as far as the bounds allow that.
func (b bounds) set(clocks []clock) {
	var placed []int
	for _, c := range byWeight(clocks) {
		lo, hi := -unbounded, unbounded
		for _, p := range placed {
			if b[c][p] != unbounded {
				lo = max(lo, clocks[p].by-b[c][p])
			}
			if b[p][c] != unbounded {
				hi = min(hi, clocks[p].by+b[p][c])
			}
		}
		wall := time.Duration(0)
		if len(placed) > 0 {
			first := placed[0]
			wall = clocks[first].by + time.Duration(clocks[c].wall-clocks[first].wall)
		}
		switch {
		case lo != -unbounded && hi != unbounded:
			clocks[c].by = lo + (hi-lo)/2
		default:
			clocks[c].by = min(max(wall, lo), hi)
		}
		placed = append(placed, c)
	}
}

// byWeight are the clocks, the one with the most steps first: it is the axis.
func byWeight(clocks []clock) []int {
	order := make([]int, len(clocks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return clocks[b].steps - clocks[a].steps })
	return order
}

// doubt is the most by which the distance between instants of two clocks may be wrong; known tells that it follows from shared facts
// and not from the wall clocks.
func (b bounds) doubt(clocks []clock, i, j int) (d time.Duration, known bool) {
	if i == j {
		return 0, true
	}
	between := clocks[j].by - clocks[i].by
	if b[i][j] == unbounded || b[j][i] == unbounded {
		return wallDoubt, false
	}
	return max((b[i][j] - between).Abs(), (between + b[j][i]).Abs()), true
}
