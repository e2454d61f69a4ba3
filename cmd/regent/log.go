package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
)

func newLogCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Read an agent's event log: what it saw, what it decided, and why",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLogShowCommand(), newLogCatCommand(), newLogReplayCommand())
	return cmd
}

func newLogShowCommand() *cobra.Command {
	var everything bool
	cmd := &cobra.Command{
		Use:   "show DIR",
		Short: "Print decisions and notes, one aligned line each",
		Long:  "Print notes and those decisions that changed something: a state, a rule, or an effect that was issued.",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVarP(&everything, "all", "a", false, "decisions that changed nothing, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return eachRecord(args[0], cmd.ErrOrStderr(), func(r eventlog.Record) error {
			if r.Kind == eventlog.KindDecision && !everything {
				if d, err := r.Decision(); err != nil || !d.Changed() {
					return err
				}
			}
			return eventlog.Show(cmd.OutOrStdout(), r)
		})
	}
	return cmd
}

func newLogCatCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cat DIR",
		Short: "Print every record as a line of JSON, for jq",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachRecord(args[0], cmd.ErrOrStderr(), func(r eventlog.Record) error { return eventlog.Cat(cmd.OutOrStdout(), r) })
		},
	}
}

// eachRecord reads a log to its end, or to the first damage, which it names.
func eachRecord(dir string, errOut io.Writer, do func(eventlog.Record) error) error {
	reader := eventlog.Read(dir)
	for r, err := range reader.All() {
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
	}
	if torn := reader.TornTail(); torn != nil {
		_, err := fmt.Fprintf(errOut, "the log ends in a torn record: %v\n", torn)
		return err
	}
	return nil
}

func newLogReplayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replay DIR…",
		Short: "Decide everything again and compare every decision and state",
		Long: `Feed the recorded inputs to the engine again and compare each decision and each state hash with the recorded
ones. The first difference is printed and ends the replay with exit code 1. Runs whose beginning is not in the
log any more, or that have records missing, are counted and passed over from there to the next start of the agent.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, dir := range args {
				r, err := replayLog(dir)
				if err != nil {
					return fmt.Errorf("replay %s: %w", dir, err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d runs, %d decisions replayed, all equal; %d passed over\n",
					dir, r.runs, r.replayed, r.passed)
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

type replayed struct{ runs, replayed, passed int }

// replayLog re-decides a whole log.
func replayLog(dir string) (replayed, error) {
	var (
		out      replayed
		replayer *engine.Replayer
		last     uint64
	)
	for pair, err := range eventlog.Pairs(eventlog.Read(dir).All()) {
		if err != nil {
			return out, err
		}
		if pair.Input == nil || pair.Decision == nil {
			if pair.Gap != nil || pair.Decision != nil {
				replayer = nil // records are missing: what follows cannot be decided again
			}
			continue
		}
		if _, start := pair.Input.Fact.(events.Started); start && pair.Input.Seq == 1 {
			replayer = engine.NewReplayer()
			out.runs++
		} else if pair.Input.Seq != last+1 {
			replayer = nil
		}
		last = pair.Input.Seq
		if replayer == nil {
			out.passed++
			continue
		}
		if err := replayer.Step(*pair.Input, *pair.Decision); err != nil {
			return out, err
		}
		out.replayed++
	}
	if out.replayed == 0 {
		return out, errors.New("no decision could be replayed: the log is empty, or holds no start of the agent")
	}
	return out, nil
}
