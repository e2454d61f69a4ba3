package main

import (
	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
	"github.com/regent-ha/regent/pgdriver/fence"
)

// guardVerb is looked for before the command line is parsed: the guard is to start with as little as it can.
const guardVerb = "guard"

// newGuardCommand is only there for --help: main runs the guard itself.
func newGuardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   guardVerb + " …",
		Short: "The companion process that kills PostgreSQL when the lease ends (started by the agent)",
		Long: `The agent starts its guard by itself. The guard holds the deadline of the lease and kills every process
of the member's PostgreSQL when the deadline passes without having been moved: because the agent is frozen,
killed or wedged. It outlives the agent, and a restarted agent finds it again.`,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if code := fence.RunGuard(args); code != 0 {
				return &ctl.ExitError{Code: code, Message: "the guard did not run"}
			}
			return nil
		},
	}
}
