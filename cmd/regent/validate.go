package main

import (
	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newValidateCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check an agent's configuration, without using the network",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ctl.Validate(args[0], show, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVarP(&show, "print", "p", false, "print the merged configuration, without its secrets")
	return cmd
}
