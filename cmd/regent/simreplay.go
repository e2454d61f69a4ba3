package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/sim"
)

func newSimReplayCommand() *cobra.Command {
	o := sim.ReplayOptions{}
	cmd := &cobra.Command{
		Use:   "replay LOGS…",
		Short: "Make a world of production event logs: of one member, or of all",
		Long: `Put the event logs of members on one axis, feed every recorded input to an engine of its member, compare what is decided with what was
recorded, and judge what can be known from recorded facts: who held the lease and who accepted writes when, whether guards would have
fired in time, timelines, pauses, reasons. Each LOGS is a directory, as for regent log replay.

Instants of two hosts are compared by their boot clocks; how these relate follows from writes to the store that one member asked for and another
saw. How well that is known is printed, and only what is certain counts as broken; the rest stands among the closest calls.

With --free-from the recording drives up to a point, and models of the store, PostgreSQL, guards and the network take over there: each seed is a
different bad day from that moment on, with the judges of regent sim run. How many runs end how, and the closest calls, tell how close it
was. What of the recorded state the models cannot represent is printed. Logs with records missing before that point are refused, and those
that this version decides otherwise.

The exit code is 1 if an invariant is seen broken, or if a decision comes out otherwise than it was recorded.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logs, o.Out, o.Log = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return sim.Replay(ctx, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Lines, "lines", 0, "print only so many steps of lifecycles, the newest; 0: all")
	f.StringVar(&o.FreeFrom, "free-from", "", "let models take over: after this input of --member (1234, or 2:1234 in its second run), or at this time (RFC 3339)")
	f.StringVar(&o.Member, "member", "", "whose input --free-from names")
	f.StringSliceVar(&o.Stores, "backend", []string{"etcd"}, "with --free-from: the model of the store")
	f.Uint64Var(&o.From, "from", 0, "with --free-from: the first seed")
	f.Uint64Var(&o.Seeds, "seeds", 100, "with --free-from: how many seeds")
	f.DurationVar(&o.For, "for", 5*time.Minute, "with --free-from: how long faults last in each run, in virtual time")
	f.IntVar(&o.Jobs, "jobs", runtime.NumCPU(), "with --free-from: runs at once")
	f.IntVar(&o.Most, "most", 0, "with --free-from: begin nothing new after so many failures; 0: go on")
	f.IntVar(&o.Shrink, "shrink", 100, "with --free-from: runs that making a failure small may take; 0: leave it as it is")
	f.StringVar(&o.Tapes, "tapes", ".", "with --free-from: directory for the tapes of failures")
	f.StringVar(&o.Tape, "tape", "", "with --free-from: run this tape, tell everything that happens, and nothing else")
	f.StringVar(&o.JSON, "json", "", "write the report as JSON to a file; -: to the standard output, instead of the text")
	return cmd
}
