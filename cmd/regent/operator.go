package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

// addGlobalFlags adds what all operator's verbs share.
func addGlobalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringP("config-file", "c", os.Getenv("PATRONICTL_CONFIG_FILE"),
		"configuration file or directory, the same as the agent's [$PATRONICTL_CONFIG_FILE]")
	f.StringP("dcs-url", "d", os.Getenv("DCS_URL"), "the store, as [etcd3|nats://][host][:port][/namespace] [$DCS_URL]")
	f.String("dcs", "", "the same as --dcs-url")
	f.StringP("url", "u", "", "a member's REST API, as http://host:8008: the store is then not touched")
	f.BoolP("insecure", "k", false, "do not verify servers' certificates")
	f.Bool("strict", false, "exit with 3 if an order was not carried out, with 4 if that is not known")
	f.Duration("request-timeout", 10*time.Minute, "how long an order may take before its outcome counts as unknown")
}

func options(cmd *cobra.Command) ctl.Options {
	f := cmd.Flags()
	text := func(name string) string {
		v, err := f.GetString(name)
		if err != nil {
			panic(err) // the flag is not registered: a mistake in this program
		}
		return v
	}
	o := ctl.Options{ConfigFile: text("config-file"), DCSURL: text("dcs-url"), URL: text("url"), In: cmd.InOrStdin(),
		Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
	if dcs := text("dcs"); dcs != "" {
		o.DCSURL = dcs
	}
	for name, into := range map[string]*bool{"insecure": &o.Insecure, "strict": &o.Strict} {
		v, err := f.GetBool(name)
		if err != nil {
			panic(err)
		}
		*into = v
	}
	timeout, err := f.GetDuration("request-timeout")
	if err != nil {
		panic(err)
	}
	o.Timeout = timeout
	return o
}

// operate connects, runs a verb and ends the connection.
func operate(cmd *cobra.Command, scope string, verb func(ctx context.Context, s *ctl.Session) error) error {
	ctx := cmd.Context()
	s, err := ctl.Connect(ctx, options(cmd), scope)
	if err != nil {
		return err
	}
	err = verb(ctx, s)
	if closed := s.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = s.Outcome()
	}
	return err
}

// first is the first argument, empty if there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// arguments wraps a check of cobra's so that it ends with the exit code for a wrong command line.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &ctl.ExitError{Code: ctl.ExitUsage, Message: err.Error() + "\nTry '" + cmd.CommandPath() + " --help' for help."}
		}
		return nil
	}
}

// clusterOnly is for verbs that take the name of a cluster at most.
var clusterOnly = arguments(cobra.MaximumNArgs(1))

// members is for verbs that take the name of a cluster and then names of members.
var members = arguments(cobra.MinimumNArgs(1))
