package conformance

import (
	"flag"
	"os"
	"sync"
	"testing"

	"github.com/regent-ha/regent/simulations/postgres/conform"
)

var record = flag.String("record", "", "write what PostgreSQL tells to this file")

// TestScripts: PostgreSQL tells what it told when the facts were recorded.
func TestScripts(t *testing.T) {
	first := newStage(t, "")
	conform.Begin(t, first)
	template := first.saveTemplate()
	var mu sync.Mutex
	all := map[string][]string{}
	t.Run("scripts", func(t *testing.T) {
		for _, s := range conform.Scripts {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				told := conform.Play(t, newStage(t, template), s)
				mu.Lock()
				all[s.Name] = told
				mu.Unlock()
				if *record == "" {
					conform.Compare(t, "PostgreSQL", told, conform.Facts(s.Name))
				}
			})
		}
	})
	if *record != "" && !t.Failed() {
		if err := os.WriteFile(*record, []byte(conform.Format(all)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
