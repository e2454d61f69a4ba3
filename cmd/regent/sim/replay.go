package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/regent-ha/regent/simulations"
	"github.com/regent-ha/regent/simulations/replay"
)

// ReplayOptions say what to replay.
type ReplayOptions struct {
	Options
	Logs  []string // directories
	Lines int      // of steps that are printed, the newest; 0: all
	JSON  string   // a file, - for the standard output
	// FreeFrom is the point from which the models take over: an input of Member, or a time. Empty: they do not.
	FreeFrom, Member string
}

// text is where what people read is written.
func (o *ReplayOptions) text() io.Writer {
	if o.JSON == "-" {
		return io.Discard
	}
	return o.Out
}

// answer is what a replay came to, as it is written for programs.
type answer struct {
	Replay *replay.Report `json:"replay"`
	Free   *free          `json:"free,omitempty"`
}

// Replay merges logs, judges them, and lets the models go on from a point if that is asked for.
func Replay(ctx context.Context, o ReplayOptions) error {
	if err := o.checkFree(); err != nil {
		return err
	}
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
	if err := a.Replay.Print(o.text(), o.Lines); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if o.FreeFrom != "" {
		if a.Free, err = o.freely(ctx, m); err != nil {
			return err
		}
		if err := a.Free.print(&o); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	if err := o.write(&a); err != nil {
		return err
	}
	if len(a.Replay.Breaches) > 0 || a.Free != nil && a.Free.Verdicts[sound] < len(a.Free.Runs) {
		return ErrBroken
	}
	return nil
}

// checkFree looks at the options of the runs with models.
func (o *ReplayOptions) checkFree() error {
	switch {
	case o.FreeFrom == "" && (o.Member != "" || o.Tape != ""):
		return errors.New("--member and --tape say from where on models take over, and how: want --free-from")
	case o.FreeFrom == "":
		return nil
	case len(o.Stores) != 1 || !slices.Contains(simulations.StoreKinds(), o.Stores[0]):
		return fmt.Errorf("--backend %s: want one of %s", strings.Join(o.Stores, ","), strings.Join(simulations.StoreKinds(), ", "))
	}
	return o.check()
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
