package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newListCommand() *cobra.Command {
	var o ctl.ListOptions
	var format string
	cmd := &cobra.Command{
		Use:   "list [CLUSTERS…]",
		Short: "List the members of a cluster",
	}
	cmd.Flags().BoolVarP(&o.Extended, "extended", "e", false, "show all columns")
	cmd.Flags().BoolVarP(&o.Timestamp, "timestamp", "t", false, "print the time first")
	cmd.Flags().StringVarP(&format, "format", "f", "pretty", "pretty, tsv, json or yaml")
	again := watchFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := ctl.ParseFormat(format)
		if err != nil {
			return err
		}
		o.Format, o.Watch = f, again()
		return listAll(cmd, args, o)
	}
	return cmd
}

func newTopologyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topology [CLUSTERS…]",
		Short: "List the members of a cluster as a tree of who follows whom",
	}
	again := watchFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return listAll(cmd, args, ctl.ListOptions{Format: ctl.Topology, Watch: again()})
	}
	return cmd
}

func listAll(cmd *cobra.Command, clusters []string, o ctl.ListOptions) error {
	if len(clusters) == 0 {
		clusters = []string{""}
	}
	for _, scope := range clusters {
		err := operate(cmd, scope, func(ctx context.Context, s *ctl.Session) error { return s.List(ctx, o) })
		if err != nil {
			return err
		}
	}
	return nil
}

// watchFlags adds -w and -W; the function gives the pause between two looks, zero for one look.
func watchFlags(cmd *cobra.Command) func() time.Duration {
	var everyTwo bool
	var seconds float64
	cmd.Flags().BoolVarP(&everyTwo, "watch-auto", "W", false, "look again every 2 seconds")
	cmd.Flags().Float64VarP(&seconds, "watch", "w", 0, "look again every so many seconds")
	return func() time.Duration {
		if seconds == 0 && everyTwo {
			seconds = 2
		}
		return time.Duration(seconds * float64(time.Second))
	}
}
