package engine

import (
	"encoding/json"
	"fmt"

	"github.com/regent-ha/regent/events"
)

// Replayer decides again what was decided before, and compares.
type Replayer struct {
	engine *Engine
	Steps  int // compared so far
}

// NewReplayer starts a replay at the beginning of a run: at its Started input.
func NewReplayer() *Replayer { return &Replayer{engine: New(Options{HashStates: true})} }

// Step decides an input again and compares the whole decision, state hash included, with the recorded
// one. The error tells the first difference.
func (r *Replayer) Step(in events.Input, recorded events.Decision) error {
	if _, ok := in.Fact.(events.Started); ok {
		r.engine = New(Options{HashStates: true})
	}
	got := r.engine.Step(in)
	r.Steps++
	a, err := json.Marshal(recorded)
	if err != nil {
		return fmt.Errorf("encode the recorded decision on input %d: %w", in.Seq, err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		return fmt.Errorf("encode the decision on input %d: %w", in.Seq, err)
	}
	if string(a) == string(b) {
		return nil
	}
	if recorded.StateHash != got.StateHash {
		recorded.StateHash, got.StateHash = 0, 0
		x, errX := json.Marshal(recorded)
		y, errY := json.Marshal(got)
		if errX == nil && errY == nil && string(x) == string(y) {
			return fmt.Errorf("input %d (%s): the decision is the same, but it was reached in another state: the state hashes differ", in.Seq, in.Fact.FactKind())
		}
	}
	return fmt.Errorf("input %d (%s): decided otherwise\nrecorded: %s\nreplayed: %s", in.Seq, in.Fact.FactKind(), a, b)
}

// Status is the picture after the last step.
func (r *Replayer) Status() *Status { return r.engine.Status() }
