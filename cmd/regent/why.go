package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newWhyCommand() *cobra.Command {
	var format, cluster string
	cmd := &cobra.Command{
		Use:   "why [MEMBER]",
		Short: "Say what holds each member where it is, and why it does nothing else",
		Args:  arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return &ctl.ExitError{Code: ctl.ExitUsage, Message: fmt.Sprintf("Invalid value for '-f' / '--format': %q is not one of "+
					"'text', 'json'.", format)}
			}
			return operate(cmd, cluster, func(ctx context.Context, s *ctl.Session) error {
				return s.Why(ctx, first(args), ctl.Format(format))
			})
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "text", "text or json")
	cmd.Flags().StringVar(&cluster, "cluster", "", "the cluster; scope of the configuration by default")
	return cmd
}
