package differential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
)

// Options say how a history is judged.
type Options struct {
	// Late is how much time the real servers may have lost, all in all: two seconds if zero.
	Late time.Duration
	// Merges tells that the store's watch may leave out changes that were overwritten, so that what was told is not compared.
	Merges bool
	// Overwrites tells that the real watch may leave out changes of a key that was written again a moment later, where the model's tells all.
	Overwrites bool
	// Elections tells that an election of the store makes leases last longer. It is tried where servers are hurt.
	Elections bool
	// Tries bounds the search, 8000 if zero.
	Tries int
}

// Verdict is what became of a history.
type Verdict struct {
	OK    bool
	Tries int
	// Followed is how many steps some run of the model could follow, and Model what the model answered instead of the next one.
	Followed int
	Model    []string
}

// again is how often the search begins anew.
const again = 500

// Admits looks for a run of the model that answers as a history does.
func Admits(build Build, h *History, o Options) Verdict {
	if o.Late == 0 {
		o.Late = 2 * time.Second
	}
	if o.Tries == 0 {
		o.Tries = 8000
	}
	draws := rand.New(rand.NewPCG(h.Seed, 2))
	v := Verdict{Followed: -1}
	var best *replay
	for v.Tries = 1; v.Tries <= o.Tries; v.Tries++ {
		if v.Tries%again == 0 {
			best = nil // it may have been a wrong way
		}
		c := &chooser{Kernel: kernel.New(kernel.Harmless()), rand: draws}
		switch {
		case best != nil && len(best.marks) > 0:
			c.vary(best.c.taken, best.marks)
		case v.Tries > 1:
			c.bold = draws.IntN(60)
		}
		r, followed, why := play(build, h, o, c)
		if why == "" {
			v.OK, v.Followed, v.Model = true, len(h.Steps), nil
			return v
		}
		if followed > v.Followed {
			v.Followed, v.Model = followed, nil
		}
		if followed == v.Followed && !slices.Contains(v.Model, why) && len(v.Model) < 5 {
			v.Model = append(v.Model, why)
		}
		// Harm that helps nothing piles up, if it is kept whenever it does not hurt.
		if best == nil || followed > best.followed || followed == best.followed && (c.harm() <= best.c.harm() || draws.IntN(6) == 0) {
			best = r
		}
	}
	v.Tries--
	return v
}

// Report tells people what the model could not follow: the shortest beginning of the history.
func (v *Verdict) Report(h *History) string {
	return fmt.Sprintf("%s, seed %d: no run of the model answers like this (%d tried). The last line is what none could follow:\n%s%s",
		h.Kind, h.Seed, v.Tries, h.Print(v.Followed+1), strings.Join(v.Model, "\n"))
}
