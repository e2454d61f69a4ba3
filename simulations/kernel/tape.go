package kernel

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/regent-ha/regent/events"
)

// Tape is where the choices of a run come from: a seed, or a recording. It can record what it gives.
type Tape struct {
	seed    uint64
	domains []*Domain
	record  bool
	script  map[string][]Choice // played back, by domain; nil: drawn from the seed
}

// Choice is one choice of a recorded run: of N, the answer was Took.
type Choice struct {
	Label string `json:"label"`
	N     int    `json:"n"`
	Took  int    `json:"took"`
}

// Seeded is a tape whose choices are drawn.
func Seeded(seed uint64) *Tape { return &Tape{seed: seed} }

// Recorded is a tape that plays back. Where the run asks another question than the recorded one did, the answer is looked for
// a little further on; when there is none, and after the end of the recording, it is the harmless one.
func Recorded(script map[string][]Choice) *Tape { return &Tape{script: script} }

// Harmless is a tape on which nothing goes wrong by itself.
func Harmless() *Tape { return Recorded(map[string][]Choice{}) }

// Record makes the tape keep what it gives from now on.
func (t *Tape) Record() *Tape {
	t.record = true
	return t
}

// Taken is what was recorded, by domain.
func (t *Tape) Taken() map[string][]Choice {
	all := make(map[string][]Choice, len(t.domains))
	for _, d := range t.domains {
		all[d.name] = d.taken
	}
	return all
}

// Encode writes a recording as a file keeps it, one line for each domain and few bytes for each choice; Decode reads it.
func Encode(script map[string][]Choice) ([]byte, error) {
	b, err := json.Marshal(script) // keys sorted
	if err != nil {
		return nil, fmt.Errorf("encode a tape: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote and refuses choices that cannot have been made.
func Decode(b []byte) (map[string][]Choice, error) {
	var script map[string][]Choice
	if err := json.Unmarshal(b, &script); err != nil {
		return nil, fmt.Errorf("decode a tape: %w", err)
	}
	for domain, choices := range script {
		for i, c := range choices {
			if c.Took < 0 || c.Took >= max(c.N, 1) {
				return nil, fmt.Errorf("decode a tape: domain %s, choice %d (%s): took %d of %d", domain, i, c.Label, c.Took, c.N)
			}
		}
	}
	return script, nil
}

// Domain is a stream of choices of its own, and the Env of the models that belong to it.
type Domain struct {
	name   string
	k      *Kernel
	rand   *rand.PCG
	script []Choice
	next   int
	taken  []Choice
}

var _ Env = (*Domain)(nil)

// Domain makes the stream of a name, or gives the one that was made before.
func (k *Kernel) Domain(name string) *Domain {
	for _, d := range k.tape.domains {
		if d.name == name {
			return d
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	d := &Domain{name: name, k: k, rand: rand.NewPCG(k.tape.seed, h.Sum64()), script: k.tape.script[name]}
	k.tape.domains = append(k.tape.domains, d)
	return d
}

// Now is true time.
func (d *Domain) Now() events.Instant { return d.k.now }

// After plans something.
func (d *Domain) After(wait time.Duration, do func()) { d.k.After(wait, do) }

// Pick draws one of n.
func (d *Domain) Pick(label string, n int) int {
	took := 0
	switch {
	case n <= 1:
		return 0
	case d.k.tape.script != nil:
		took = d.played(label, n)
	default: // multiplied rather than divided: the bias of a 64-bit draw is far below what could matter
		took = int((d.rand.Uint64() >> 32) * uint64(n) >> 32)
	}
	if d.k.tape.record {
		d.taken = append(d.taken, Choice{label, n, took})
	}
	return took
}

// lookAhead is how many recorded choices may be skipped to find one with the label that is asked for: a shrunk run asks less.
const lookAhead = 64

func (d *Domain) played(label string, n int) int {
	for i := d.next; i < min(d.next+lookAhead, len(d.script)); i++ {
		if c := &d.script[i]; c.Label == label {
			d.next = i + 1
			return min(c.Took, n-1)
		}
	}
	return 0
}
