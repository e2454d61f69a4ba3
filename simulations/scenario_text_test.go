package simulations

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/scenario"
)

var rewrite = flag.Bool("rewrite", false, "write what came of the scenarios into their files, to be read as a diff")

// TestScenarios plays every file of testdata/scenarios on every store that there is a model of. Nothing goes wrong by itself.
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { scenarioOn(t, path) })
	}
}

func scenarioOn(t *testing.T, path string) {
	f, err := scenario.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	came := map[string][]scenario.Output{}
	for _, store := range StoreKinds() {
		if !f.PlaysOn(store) {
			continue
		}
		stage := NewStage(store, kernel.Harmless())
		outputs, err := scenario.Play(f, stage)
		if err != nil {
			t.Errorf("on %s: %v", store, err)
			continue
		}
		if len(came) == 0 { // once is enough: the rest of the world is the same for all
			again, err := scenario.Play(f, NewStage(store, kernel.Harmless()))
			if err != nil || !reflect.DeepEqual(outputs, again) {
				t.Errorf("on %s, a second play differs: %v\n%v\n%v", store, err, outputs, again)
			}
		}
		came[store] = outputs
		count(scenarioKey(path, store), stage.Counts())
		if *rewrite {
			continue
		}
		for _, problem := range scenario.Check(f, store, outputs) {
			t.Error(problem)
		}
	}
	if len(came) == 0 {
		t.Errorf("it plays on no store, and the models are %v", StoreKinds())
	}
	if *rewrite && !t.Failed() {
		if err := os.WriteFile(path, []byte(scenario.Rewrite(f, came)), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// TestScenariosOnSeeds plays every file on other tapes than the harmless one, REGENT_SCENARIO_SEEDS of them. What is decided may differ then;
// what the files expect and the judges must hold all the same.
func TestScenariosOnSeeds(t *testing.T) {
	from, to := seeds(t, "REGENT_SCENARIO_SEEDS", 0, 0)
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := scenario.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, store := range StoreKinds() {
			for seed := from; seed < to && f.PlaysOn(store); seed++ {
				if _, err := scenario.Play(f, NewStage(store, kernel.Seeded(seed))); err != nil {
					t.Errorf("on %s with seed %d: %v", store, seed, err)
					break
				}
			}
		}
	}
}

var faultID = regexp.MustCompile(`^[A-Z][0-9]{1,2}$`)

// TestScenariosSayWhatTheyAre checks their headers.
func TestScenariosSayWhatTheyAre(t *testing.T) {
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := scenario.Read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasSuffix(f.Title, ".") || len(f.Retells) == 0 || len(f.Faults) == 0 {
			t.Errorf("%s: want a title that is a sentence, Retells and Faults: %q, %q, %q", path, f.Title, f.Retells, f.Faults)
		}
		for _, id := range f.Faults {
			if !faultID.MatchString(id) {
				t.Errorf("%s: %q is no row of the catalogue of faults", path, id)
			}
		}
	}
}

// TestStageRefuses checks what this world cannot play, and what cannot be done now.
func TestStageRefuses(t *testing.T) {
	for command, want := range map[string]string{
		"cut n1 from server 5 of the store":           "the store has 3 servers",
		"start agent of n1":                           "the agent of n1 runs: true",
		"start host of n1":                            "the agent of n1 runs: true",
		"empty data of n1":                            "PostgreSQL of n1 runs: true",
		"promote postgres of n1":                      "PostgreSQL of n1 is no replica",
		`store trouble "a moonquake"`:                 `this store does not know the trouble "a moonquake", but: `,
		"kill host of n1\nrestart n1":                 "the agent of n1 runs: false",
		"kill hosts of all\nwrites":                   "there is no leader to look for writes on",
		"kill hosts of all\nkill agent of the leader": "there is no leader now",
	} {
		f, err := scenario.Parse("x", "cluster members=3\n----\n\n"+command+"\n----\n")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := scenario.Play(f, NewStage("etcd", kernel.Harmless())); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", command, err, want)
		}
	}
}
