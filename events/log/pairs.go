package log

import (
	"iter"

	"github.com/regent-ha/regent/events"
)

// Pair is an input with the decision that followed from it, as replay needs them. Otherwise than in an unbroken log, a part
// may be lacking: Decision, where the agent ended or a record was dropped in between; Input, where only the
// decision was kept. Gap is set, alone, where records are missing: what is re-decided after it need not agree.
type Pair struct {
	Input    *events.Input
	Decision *events.Decision
	Gap      *Note
}

// Pairs joins inputs and decisions. The first error ends it.
func Pairs(records iter.Seq2[Record, error]) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		var open *events.Input
		flush := func() bool {
			in := open
			open = nil
			return in == nil || yield(Pair{Input: in}, nil)
		}
		for r, err := range records {
			var p Pair
			if err == nil {
				p, err = half(&r)
			}
			switch {
			case err != nil:
				if flush() {
					yield(Pair{}, err)
				}
				return
			case p.Input != nil:
				if !flush() {
					return
				}
				open = p.Input
				continue
			case p.Decision != nil && open != nil && open.Seq == p.Decision.Input:
				p.Input, open = open, nil
			case p == Pair{}:
				continue
			}
			if !flush() || !yield(p, nil) {
				return
			}
		}
		flush()
	}
}

// half is the part of a pair that a record holds; none for a note that tells of no gap.
func half(r *Record) (Pair, error) {
	switch r.Kind {
	case KindInput:
		in, err := r.Input()
		return Pair{Input: &in}, err
	case KindDecision:
		d, err := r.Decision()
		return Pair{Decision: &d}, err
	case KindNote:
		n, err := r.Note()
		if err != nil || n.Missing == 0 {
			return Pair{}, err
		}
		return Pair{Gap: &n}, nil
	}
	return Pair{}, nil
}
