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

func newSimCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Rehearse decisions on a modelled world, under faults",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimRunCommand(), newSimReplayCommand())
	return cmd
}

func newSimRunCommand() *cobra.Command {
	o := sim.Options{}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run bad days of clusters, one for each seed, and judge what the engine decides",
		Long: `Run the engine of this program, unchanged, in a world of models with virtual time: a store, PostgreSQL, the network, hosts, operators.
Each seed is a cluster and a day of faults; then everything is healed, and the cluster has to become healthy and to stay so.

A run that breaks an invariant is run again, made small, and printed with the faults that it needs and the command that repeats it. The
exit code is 1 then.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			o.Out, o.Log = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return sim.Run(ctx, &o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Stores, "backend", []string{"all"}, "stores to run on")
	f.Uint64Var(&o.From, "from", 0, "the first seed")
	f.Uint64Var(&o.Seeds, "seeds", 100, "how many seeds, on each store")
	f.DurationVar(&o.For, "for", 10*time.Minute, "how long faults last in each run, in virtual time")
	f.BoolVar(&o.Wipes, "wipes", false, "stores may lose what they had acknowledged; what must hold then is judged in part only")
	f.IntVar(&o.Jobs, "jobs", runtime.NumCPU(), "runs at once")
	f.IntVar(&o.Most, "most", 5, "begin nothing new after so many failures; 0: go on")
	f.IntVar(&o.Shrink, "shrink", 300, "runs that making a failure small may take; 0: leave it as it is")
	f.StringVar(&o.Tapes, "tapes", ".", "directory for the tapes of failures")
	f.StringVar(&o.Tape, "tape", "", "run this tape, tell everything that happens, and nothing else")
	f.StringVar(&o.JSON, "json", "", "write a line of JSON for each run to a file")
	f.StringVar(&o.HTML, "html", "", "write a page of what was covered to a file: rules, effects, faults, stores, failures; plays the scenarios too")
	f.StringVar(&o.JUnit, "junit", "", "write JUnit's XML to a file")
	return cmd
}
