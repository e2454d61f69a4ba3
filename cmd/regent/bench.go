package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/bench"
	"github.com/regent-ha/regent/cmd/regent/ctl"
	"github.com/regent-ha/regent/simulations/live"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure regent on this machine",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchFailoverCommand())
	return cmd
}

func newBenchFailoverCommand() *cobra.Command {
	o := bench.Options{}
	cmd := &cobra.Command{
		Use:   "failover",
		Short: "Measure how long a cluster accepts no writes when its primary is moved, beside PostgreSQL's own limit",
		Long: `Start PostgreSQL servers and clusters of three members on this machine, move their primary in every way that
happens, and print as Markdown how long a client waited, how many acknowledged writes were lost and what idle agents need.

A missed mark is told and no error. The exit code is 1 if a scenario did not work, or lost writes that it promises to keep.
Root runs all servers and agents as the user postgres.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range o.Stores {
				if !slices.Contains([]string{live.Etcd, live.Embedded, live.Nats}, s) {
					return &ctl.ExitError{Code: ctl.ExitUsage, Message: fmt.Sprintf("--store %s: want %s, %s or %s", s, live.Etcd, live.Embedded, live.Nats)}
				}
			}
			if o.Quick && !cmd.Flags().Changed("runs") {
				o.Runs = 3
			}
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find the own program: %w", err)
			}
			o.Out, o.Log = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return bench.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Stores, "store", []string{live.Etcd, live.Embedded}, "stores to measure with")
	f.IntVar(&o.Runs, "runs", 10, "runs of each scenario")
	f.BoolVar(&o.Quick, "quick", false, "3 runs, nothing with ttl 30, a shorter look at idle agents")
	f.StringSliceVar(&o.Only, "only", nil, "only scenarios whose name has one of these parts (\"footprint\" is one of them)")
	f.BoolVar(&o.Keep, "keep", false, "keep the directories of the clusters, with the event logs")
	f.StringVar(&o.JSON, "json", "", "write the report, with every run, to a file")
	return cmd
}
