package simulations

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// full tells that this is CI, which looks at everything; the inner loop looks at a part.
func full() bool { return os.Getenv("CI") != "" }

// TestChaos runs bad days on every store, in CI more of them. REGENT_CHAOS_SEEDS is how many (or a range, from-to); REGENT_CHAOS_MINUTES how long each lasts,
// and REGENT_CHAOS_STORE names the one store to run on.
func TestChaos(t *testing.T) {
	for _, store := range StoreKinds() {
		if only := os.Getenv("REGENT_CHAOS_STORE"); only == "" || only == store {
			t.Run(store, func(t *testing.T) { badDays(t, store) })
		}
	}
}

func badDays(t *testing.T, store string) {
	most := uint64(8)
	if full() {
		most = 40
	}
	from, to := seeds(t, "REGENT_CHAOS_SEEDS", 0, most)
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
		set := ChaosSettings{Seed: seed, Store: store, For: time.Duration(minutes) * time.Minute}
		a, b := NewChaos(set), NewChaos(set)
		twin := make(chan struct{})
		go func() { // joined below; worlds share nothing
			defer close(twin)
			b.Run()
		}()
		broken := a.Run()
		<-twin
		count(dayKey(store, seed, set.For), &a.Counts)
		virtual += 2 * a.k.Since()
		if a.Hash() != b.Hash() {
			t.Errorf("two runs of seed %d differ", seed)
		}
		if len(broken) > 0 {
			failures++
			lines := 40
			if to-from == 1 {
				lines = 100000
			}
			t.Errorf("seed %d (REGENT_CHAOS_STORE=%s REGENT_CHAOS_SEEDS=%d-%d):\n%s\n%s", seed, store, seed, seed+1, strings.Join(broken, "\n"), a.Story(lines))
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
