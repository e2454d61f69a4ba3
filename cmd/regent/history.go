package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newHistoryCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "history [CLUSTER]",
		Short: "Show the timelines that have ended: failovers and switchovers",
		Args:  clusterOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := ctl.ParseFormat(format)
			if err != nil {
				return err
			}
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error { return s.History(ctx, f) })
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "pretty", "pretty, tsv, json or yaml")
	return cmd
}
