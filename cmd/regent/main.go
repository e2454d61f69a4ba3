package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
	"github.com/regent-ha/regent/pgdriver/fence"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == guardVerb {
		os.Exit(fence.RunGuard(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "run" { // the agent has its own way with signals
		os.Exit(execute(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and gives its exit code.
func execute(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	code, message := ctl.ExitCode(root.ExecuteContext(ctx))
	if message != "" {
		_, _ = fmt.Fprintln(errOut, "Error: "+message)
	}
	return code
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "regent",
		Short: "High availability for PostgreSQL, with decisions that can be replayed and explained",
		Long: `regent keeps a PostgreSQL cluster writable and its data safe.

Exit codes of the operator's verbs: 0 done (as patronictl, also when a member refused the order), 1 not
possible or not confirmed, 2 wrong command line. With --strict: 3 the order was not carried out, 4 it is not
known whether it was.`,
		SilenceErrors: true, SilenceUsage: true, Version: version,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			message += "\n\nDid you mean this?\n\t" + strings.Join(near, "\n\t")
		}
		return &ctl.ExitError{Code: ctl.ExitUsage, Message: message}
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &ctl.ExitError{Code: ctl.ExitUsage, Message: fmt.Sprintf("%v\nTry '%s --help' for help.", err, cmd.CommandPath())}
	})
	addGlobalFlags(root)
	root.AddCommand(
		// The operator's verbs.
		newListCommand(), newTopologyCommand(), newSwitchoverCommand(), newFailoverCommand(),
		newPauseCommand(), newResumeCommand(), newRestartCommand(), newReloadCommand(), newReinitCommand(),
		newHistoryCommand(), newShowConfigCommand(), newEditConfigCommand(), newVersionCommand(),
		newWhyCommand(), newValidateCommand(),
		// The agent and what belongs to it.
		newRunCommand(), newGuardCommand(), newLogCommand(), newDemoCommand(), newBenchCommand(), newSimCommand(),
	)
	return root
}
