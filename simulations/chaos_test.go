package simulations

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestChaos runs bad days. REGENT_CHAOS_SEEDS is how many (or a range, from-to); REGENT_CHAOS_MINUTES how long each lasts.
func TestChaos(t *testing.T) {
	from, to := seeds(t, "REGENT_CHAOS_SEEDS", 0, 30)
	minutes := 4
	if text := os.Getenv("REGENT_CHAOS_MINUTES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			t.Fatalf("REGENT_CHAOS_MINUTES=%q: want a number", text)
		}
		minutes = n
	}
	virtual, began, failures := time.Duration(0), time.Now(), 0
	for seed := from; seed < to; seed++ {
		a, b := NewChaos(seed, time.Duration(minutes)*time.Minute), NewChaos(seed, time.Duration(minutes)*time.Minute)
		twin := make(chan struct{})
		go func() { // joined below; worlds share nothing
			defer close(twin)
			b.Run()
		}()
		broken := a.Run()
		<-twin
		virtual += 2 * a.now.Sub(a.began())
		if a.Hash() != b.Hash() {
			t.Errorf("two runs of seed %d differ", seed)
		}
		if len(broken) > 0 {
			failures++
			lines := 40
			if to-from == 1 {
				lines = 100000
			}
			t.Errorf("seed %d (REGENT_CHAOS_SEEDS=%d-%d):\n%s\n%s", seed, seed, seed+1, strings.Join(broken, "\n"), a.end(lines))
			if failures >= 25 {
				t.Fatal("too many failures")
			}
		}
	}
	took := time.Since(began)
	t.Logf("%v of virtual time in %v: %.0f virtual hours per hour", virtual, took, virtual.Hours()/took.Hours())
}

func seeds(t *testing.T, name string, from, to uint64) (uint64, uint64) {
	text := os.Getenv(name)
	if text == "" {
		return from, to
	}
	a, b, ranged := strings.Cut(text, "-")
	if !ranged {
		a, b = "0", a
	}
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	if errA != nil || errB != nil || x >= y {
		t.Fatalf("%s=%q: want a number, or from-to", name, text)
	}
	return x, y
}
