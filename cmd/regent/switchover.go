package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newSwitchoverCommand() *cobra.Command {
	var o ctl.ChangeOptions
	var primary string
	cmd := &cobra.Command{
		Use:   "switchover [CLUSTER]",
		Short: "Change the leader as planned, now or later",
		Args:  clusterOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Leader == "" {
				o.Leader = primary
			}
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error { return s.Switchover(ctx, o) })
		},
	}
	cmd.Flags().StringVar(&o.Leader, "leader", "", "the present leader")
	cmd.Flags().StringVar(&primary, "primary", "", "the same as --leader")
	cmd.Flags().StringVar(&o.Candidate, "candidate", "", "the member that is to lead; empty: the best one")
	cmd.Flags().StringVar(&o.Scheduled, "scheduled", "", "when, in ISO 8601; now by default")
	cmd.Flags().BoolVar(&o.Force, "force", false, "do not ask")
	return cmd
}
