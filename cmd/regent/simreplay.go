package main

import (
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

The exit code is 1 if an invariant is seen broken, or if a decision comes out otherwise than it was recorded.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Logs, o.Out, o.Log = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return sim.Replay(o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Lines, "lines", 0, "print only so many steps of lifecycles, the newest; 0: all")
	f.StringVar(&o.JSON, "json", "", "write the report as JSON to a file; -: to the standard output, instead of the text")
	return cmd
}
