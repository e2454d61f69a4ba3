package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newFailoverCommand() *cobra.Command {
	var o ctl.ChangeOptions
	cmd := &cobra.Command{
		Use:   "failover [CLUSTER]",
		Short: "Make a member leader, whether there is a leader or not",
		Args:  clusterOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error { return s.Failover(ctx, o) })
		},
	}
	cmd.Flags().StringVar(&o.Candidate, "candidate", "", "the member that is to lead")
	cmd.Flags().BoolVar(&o.Force, "force", false, "do not ask")
	return cmd
}
