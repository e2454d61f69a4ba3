package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newReloadCommand() *cobra.Command {
	var sel ctl.Selection
	cmd := &cobra.Command{
		Use:   "reload CLUSTER [MEMBERS…]",
		Short: "Make members read their local configuration again",
		Args:  members,
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.Names = args[1:]
			return operate(cmd, args[0], func(ctx context.Context, s *ctl.Session) error { return s.Reload(ctx, sel) })
		},
	}
	selectionFlags(cmd, &sel)
	return cmd
}
