package simulations

import (
	"embed"
	"fmt"

	"github.com/regent-ha/regent/simulations/scenario"
)

//go:embed testdata/scenarios/*.txt
var corpus embed.FS

// Scenarios reads the scenarios that are part of the program, in order of their names.
func Scenarios() ([]*scenario.File, error) {
	const dir = "testdata/scenarios"
	entries, err := corpus.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the scenarios: %w", err)
	}
	var files []*scenario.File
	for _, e := range entries {
		path := dir + "/" + e.Name()
		text, err := corpus.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the scenario %s: %w", path, err)
		}
		f, err := scenario.Parse(path, string(text))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}
