package conform

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/backendtest"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Factory makes the model of a store for one scope, with its servers running. It must be ready for requests within Recovery.
type Factory func(env kernel.Env, scope string) stores.Model

// Options say how a model is run. Its zero value runs all cases with harmless choices.
type Options struct {
	// Name is how the store is called in the lines; the model's kind and its number of servers if empty: etcd-3.
	Name string
	// TTL, Lateness, Prompt, Silence and Recovery are backendtest's. TTL is 2 s and Lateness 1.5 s if zero.
	TTL, Lateness, Prompt, Silence, Recovery time.Duration
	// Seeds are those of the choices; {0}, all harmless, if empty.
	Seeds []uint64
	// Line makes the line of a member; perfect if nil.
	Line func(env kernel.Env, member string) stores.Line
	// Warmup is how long a new model runs before it is used, where it needs an election first, say.
	Warmup time.Duration
	// Without names the faults that this store does not have: FreezeLeader, for one without a leader.
	// FreezeLeader, KillLeader and FreezeFollower are never there with one server.
	Without []string
}

// Result is how a case went.
type Result struct {
	Store, Case string
	Seed        uint64
	OK          bool
	// Missing is the fault for lack of which the case did not run, or the case's own demand.
	Missing string
}

// String is the line of the log.
func (r Result) String() string {
	if r.Missing != "" {
		return fmt.Sprintf("conform: %s %s without %s", r.Store, r.Case, r.Missing)
	}
	word := "failed"
	if r.OK {
		word = "ok"
	}
	return fmt.Sprintf("conform: %s %s %s seed=%d", r.Store, r.Case, word, r.Seed)
}

// Run runs every case of the contract for every seed, each in a bubble and on models of its own, one per scope.
func Run(t *testing.T, build Factory, o Options) []Result {
	t.Helper()
	probe := build(idle{}, "probe")
	servers := probe.Servers()
	if o.Name == "" {
		o.Name = fmt.Sprintf("%s-%d", probe.Kind(), servers)
	}
	if o.TTL == 0 {
		o.TTL = 2 * time.Second
	}
	if o.Lateness == 0 {
		o.Lateness = 1500 * time.Millisecond
	}
	if len(o.Seeds) == 0 {
		o.Seeds = []uint64{0}
	}
	if servers == 1 {
		o.Without = append(slices.Clone(o.Without), "FreezeLeader", "KillLeader", "FreezeFollower")
	}
	var all []Result
	for _, c := range backendtest.Cases() {
		if !c.Available((&world{o: o}).harness()) {
			r := Result{Store: o.Name, Case: c.Name, Missing: c.Fault}
			if r.Missing == "" {
				r.Missing = "Denied" // the only other thing that a case demands
			}
			all = append(all, r)
		}
	}
	for _, seed := range o.Seeds {
		t.Run(fmt.Sprintf("seed%d", seed), func(t *testing.T) {
			for _, c := range backendtest.Cases() {
				if !c.Available((&world{o: o}).harness()) {
					continue
				}
				r := Result{Store: o.Name, Case: c.Name, Seed: seed}
				ran := false // go test -run may leave it out
				r.OK = t.Run(c.Name, func(t *testing.T) {
					ran = true
					synctest.Test(t, func(t *testing.T) { runCase(t, build, o, seed, c) })
				})
				if ran {
					all = append(all, r)
				}
			}
		})
	}
	for _, r := range all {
		t.Log(r)
	}
	return all
}

func runCase(t *testing.T, build Factory, o Options, seed uint64, c backendtest.Case) {
	w := &world{o: o, build: build, env: NewEnv(t, seed)}
	c.Run(t, w.harness())
}

// world is the models of one case.
type world struct {
	o     Options
	build Factory
	env   *Env

	// Both are touched inside env.Do.
	scopes []string
	models []stores.Model // of scopes
}

func (w *world) model(scope string) (m stores.Model) {
	fresh := false
	w.env.Do(func() {
		i := slices.Index(w.scopes, scope)
		if fresh = i < 0; fresh {
			i = len(w.models)
			w.scopes, w.models = append(w.scopes, scope), append(w.models, w.build(w.env, scope))
		}
		m = w.models[i]
	})
	if fresh {
		time.Sleep(w.o.Warmup)
	}
	return m
}

func (w *world) harness() backendtest.Harness {
	h := backendtest.Harness{
		Open: func(t testing.TB, scope, member string) backends.Store {
			var line stores.Line
			if w.o.Line != nil {
				w.env.Do(func() { line = w.o.Line(w.env, member) })
			}
			return Open(t, w.env, w.model(scope), member, line)
		},
		Now: func() events.Instant { return w.env.Now() },
		TTL: w.o.TTL, Lateness: w.o.Lateness, Prompt: w.o.Prompt, Silence: w.o.Silence, Recovery: w.o.Recovery,
		Faults: backendtest.Faults{
			FreezeAll:      w.fault(everyServer, stores.Model.Freeze, stores.Model.Thaw),
			KillAll:        w.fault(everyServer, stores.Model.Kill, stores.Model.Start),
			FreezeLeader:   w.fault(leader, stores.Model.Freeze, stores.Model.Thaw),
			KillLeader:     w.fault(leader, stores.Model.Kill, stores.Model.Start),
			FreezeFollower: w.fault(follower, stores.Model.Freeze, stores.Model.Thaw),
		},
	}
	for _, f := range w.o.Without {
		switch f {
		case "FreezeAll":
			h.Faults.FreezeAll = nil
		case "KillAll":
			h.Faults.KillAll = nil
		case "FreezeLeader":
			h.Faults.FreezeLeader = nil
		case "KillLeader":
			h.Faults.KillLeader = nil
		case "FreezeFollower":
			h.Faults.FreezeFollower = nil
		default:
			panic("conform: no fault is called " + f)
		}
	}
	return h
}

func everyServer(m stores.Model) []int {
	all := make([]int, m.Servers())
	for i := range all {
		all[i] = i
	}
	return all
}

func leader(m stores.Model) []int {
	if l := m.Leader(); l >= 0 {
		return []int{l}
	}
	return nil
}

func follower(m stores.Model) []int {
	if l := m.Leader(); l >= 0 {
		return []int{(l + 1) % m.Servers()}
	}
	return nil
}

// fault hits servers of every model of the case, once each has the one that is meant.
func (w *world) fault(which func(stores.Model) []int, hurt, heal func(stores.Model, int)) backendtest.Fault {
	return func(t testing.TB) func() {
		end := time.Now().Add(time.Minute)
		for {
			var hit [][]int
			w.env.Do(func() { hit = w.hit(which, hurt) })
			if hit != nil {
				return func() { w.env.Do(func() { w.each(hit, heal) }) }
			}
			if time.Now().After(end) {
				t.Fatal("conform: a model has had no leader for a minute")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// hit hurts the servers of all models, or none if a model does not have them now.
func (w *world) hit(which func(stores.Model) []int, hurt func(stores.Model, int)) [][]int {
	hit := make([][]int, 0, len(w.models))
	for _, m := range w.models {
		servers := which(m)
		if len(servers) == 0 {
			return nil
		}
		hit = append(hit, servers)
	}
	w.each(hit, hurt)
	return hit
}

func (w *world) each(hit [][]int, do func(stores.Model, int)) {
	for i, servers := range hit {
		for _, s := range servers {
			do(w.models[i], s)
		}
	}
}

// idle is a world in which nothing happens, for asking a model what it is.
type idle struct{}

// Now is the beginning, for ever.
func (idle) Now() events.Instant { return kernel.Begin }

// After forgets.
func (idle) After(time.Duration, func()) {}

// Pick is harmless.
func (idle) Pick(string, int) int { return 0 }
