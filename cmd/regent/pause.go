package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newPauseCommand() *cobra.Command {
	return pauseCommand("pause [CLUSTER]", "Stop the members from managing the cluster", true)
}

func newResumeCommand() *cobra.Command {
	return pauseCommand("resume [CLUSTER]", "Let the members manage the cluster again", false)
}

func pauseCommand(use, short string, on bool) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: clusterOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error { return s.Pause(ctx, on, wait) })
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until all members have noticed")
	return cmd
}
