package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/regent-ha/regent/simulations/replay"
)

// ReplayOptions say what to replay.
type ReplayOptions struct {
	Options
	Logs  []string // directories
	Lines int      // of steps that are printed, the newest; 0: all
	JSON  string   // a file, - for the standard output
}

// answer is what a replay came to, as it is written for programs.
type answer struct {
	Replay *replay.Report `json:"replay"`
}

// Replay merges logs, judges them, and lets the models go on from a point if that is asked for.
func Replay(o ReplayOptions) error {
	var logs []*replay.Log
	for _, dir := range o.Logs {
		l, err := replay.ReadLog(dir)
		if err != nil {
			return err
		}
		logs = append(logs, l)
	}
	m, err := replay.Merge(logs)
	if err != nil {
		return err
	}
	a := answer{Replay: m.Judge()}
	out := o.Out
	if o.JSON == "-" {
		out = io.Discard
	}
	if err := a.Replay.Print(out, o.Lines); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if err := o.write(&a); err != nil {
		return err
	}
	if len(a.Replay.Breaches) > 0 {
		return ErrBroken
	}
	return nil
}

// write writes the answer for programs, if it is wanted.
func (o *ReplayOptions) write(a *answer) error {
	if o.JSON == "" {
		return nil
	}
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	b = append(b, '\n')
	if o.JSON == "-" {
		_, err = o.Out.Write(b)
	} else {
		err = os.WriteFile(o.JSON, b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
