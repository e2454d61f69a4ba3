// Command printtables writes docs/RULES.md and docs/STATES.md from the engine's tables. It is run by
// go generate, in the directory of package engine. A test of the engine compares what it would write with
// what is there.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/regent-ha/regent/engine"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "printtables:", err)
		os.Exit(1)
	}
}

func run() error {
	var rules, states bytes.Buffer
	if err := engine.WriteRules(&rules); err != nil {
		return err
	}
	if err := engine.WriteStates(&states); err != nil {
		return err
	}
	if err := os.WriteFile("../docs/RULES.md", rules.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile("../docs/STATES.md", states.Bytes(), 0o644)
}
