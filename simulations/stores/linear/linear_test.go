package linear

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/consul"
	"github.com/regent-ha/regent/simulations/stores/etcd"
	"github.com/regent-ha/regent/simulations/stores/kubernetes"
	"github.com/regent-ha/regent/simulations/stores/nats"
	"github.com/regent-ha/regent/simulations/stores/zookeeper"
)

var models = map[string]func(kernel.Env) stores.Model{
	"consul":     func(e kernel.Env) stores.Model { return consul.New(e, consul.Config{Servers: 3}) },
	"etcd":       func(e kernel.Env) stores.Model { return etcd.New(e, etcd.Options{Servers: 3}) },
	"kubernetes": func(e kernel.Env) stores.Model { return kubernetes.New(e, 3) },
	"nats":       func(e kernel.Env) stores.Model { return nats.New(e, nats.Options{Servers: 3}) },
	"zookeeper":  func(e kernel.Env) stores.Model { return zookeeper.New(e, zookeeper.Options{Servers: 3}) },
}

// patience is for one history, which takes milliseconds: one that is not decided by then has too many outcomes that are unknown.
const patience = 20 * time.Second

// TestModelsAreLinearizable checks histories of every model, in CI more of them.
func TestModelsAreLinearizable(t *testing.T) {
	seeds := uint64(4)
	if os.Getenv("CI") != "" {
		seeds = 60
	}
	for name, build := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts := map[events.Outcome]int{}
			for seed := range seeds {
				h := record(build, seed, 40*time.Second, nil)
				for _, op := range h.ops {
					counts[op.Output.(answer).outcome]++
				}
				if got := porcupine.CheckOperationsTimeout(promised.ToModel(), h.ops, patience); got != porcupine.Ok {
					t.Fatalf("seed %d: %s\n%s", seed, got, h.culprit())
				}
			}
			if counts[events.Done] == 0 || counts[events.Lost] == 0 || counts[events.Unknown] == 0 {
				t.Errorf("the histories prove little: %v", counts)
			}
			t.Logf("%v", counts)
		})
	}
}

// culprit is the end of the history up to the first answer that cannot be right, whatever becomes of what was under way then.
func (h *history) culprit() string {
	model := promised.ToModel()
	for _, part := range byKey(h.ops) {
		for n := range part {
			var known []porcupine.Operation
			for i, op := range part {
				what := op.Input.(call).op
				switch {
				case i > n && (what == stores.Snapshot || what == stores.Renew) || op.Call > part[n].Return:
					continue
				case i > n:
					op.Output, op.Return = answer{outcome: events.Unknown, at: forever}, int64(forever)
				}
				known = append(known, op)
			}
			if porcupine.CheckOperationsTimeout(model, known, patience) != porcupine.Ok {
				return tell(part[max(0, n-12) : n+1])
			}
		}
	}
	return "every key alone is in order"
}

func tell(ops []porcupine.Operation) string {
	at := func(i int64) float64 { return events.Instant(i).Sub(kernel.Begin).Seconds() }
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "%9.3f to %9.3f %+v: %+v\n", at(op.Call), at(op.Return), op.Input, op.Output)
	}
	return b.String()
}
