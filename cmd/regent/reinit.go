package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newReinitCommand() *cobra.Command {
	o := ctl.ReinitOptions{Selection: ctl.Selection{Role: "replica"}}
	cmd := &cobra.Command{
		Use:   "reinit CLUSTER [MEMBERS…]",
		Short: "Make replicas throw their data away and clone it again",
		Args:  members,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Names = args[1:]
			return operate(cmd, args[0], func(ctx context.Context, s *ctl.Session) error { return s.Reinit(ctx, o) })
		},
	}
	cmd.Flags().BoolVar(&o.Force, "force", false, "do not ask, and cancel what the member is doing")
	cmd.Flags().BoolVar(&o.FromLeader, "from-leader", false, "clone from the leader")
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "wait until it is complete")
	return cmd
}
