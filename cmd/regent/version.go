package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

// version of this program, set by the linker.
var version = "0.1.0-dev"

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version [CLUSTER [MEMBERS…]]",
		Short: "Print the version of this program, and of a cluster's members",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), "regent "+version); err != nil {
				return err
			}
			if len(args) == 0 && options(cmd).URL == "" {
				return nil
			}
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error {
				return s.Versions(ctx, args[min(1, len(args)):])
			})
		},
	}
}
