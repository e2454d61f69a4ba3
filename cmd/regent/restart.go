package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newRestartCommand() *cobra.Command {
	var o ctl.RestartOptions
	cmd := &cobra.Command{
		Use:   "restart CLUSTER [MEMBERS…]",
		Short: "Restart members' PostgreSQL, now or later",
		Args:  members,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Names = args[1:]
			return operate(cmd, args[0], func(ctx context.Context, s *ctl.Session) error { return s.Restart(ctx, o) })
		},
	}
	selectionFlags(cmd, &o.Selection)
	cmd.Flags().BoolVar(&o.Any, "any", false, "one of the members, at random")
	cmd.Flags().StringVar(&o.Scheduled, "scheduled", "", "when, in ISO 8601; now by default")
	cmd.Flags().StringVar(&o.Version, "pg-version", "", "only if the server is older than this")
	cmd.Flags().BoolVar(&o.Pending, "pending", false, "only members with parameters that wait for a restart")
	cmd.Flags().StringVar(&o.Timeout, "timeout", "", "seconds after which the member gives the restart up")
	return cmd
}

// selectionFlags adds what says which members an order is for.
func selectionFlags(cmd *cobra.Command, sel *ctl.Selection) {
	cmd.Flags().StringVarP(&sel.Role, "role", "r", "any", "only members of this role: leader, primary, standby-leader, replica, standby,"+
		" any")
	cmd.Flags().BoolVar(&sel.Force, "force", false, "do not ask")
}
