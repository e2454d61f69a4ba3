package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
	"github.com/regent-ha/regent/cmd/regent/demo"
)

const demoHelp = `Start three members on this machine, each an agent with its guard, its PostgreSQL and its part of the embedded store,
and a client that writes all the time. The view shows the members, who holds the lease and for how long, the decisions with
the rules that they follow, and the writes. Keys hurt the cluster:

  0-9, arrows  choose the member that the other keys are for; 0: the leader, whoever it is
  p  kill its PostgreSQL            a  kill its agent          f  freeze its agent (SIGSTOP)
  t  thaw an agent                  m  kill the whole member   s  start a member again
  o  switch over (to that member)   z  pause or resume         q  quit (also Ctrl-C)

The same can be done from a second terminal while the demo runs: see the commands below. A member is given by its name
(n1), its number, or as leader. Without a terminal, or on a dumb one, the demo prints lines instead.

With --script it shows itself: a fixed tour of a switchover, crashes, a frozen agent and a restarted one, with
the measured write gap, lost writes and a verdict for each step, and a table. The exit code is 1 if a step fails or takes
longer than its bound, which is printed. The tour uses ttl 5, loop_wait 1 and retry_timeout 1, and takes one to two minutes.

Needed: Linux, and PostgreSQL's programs (version 13 or newer, for example apt install postgresql). Nothing has to be
configured. As root, the members run as user postgres. The members listen on 127.0.0.1 only, on ports from
--port on: ten for each member, the first its PostgreSQL, the second its REST API.

When the demo ends, by key, Ctrl-C, SIGTERM or SIGHUP, it leaves no process, no file and no shared memory. What a demo
that was killed left, the next one cleans.`

func newDemoCommand() *cobra.Command {
	o := demo.Options{Timing: demo.ViewTiming, In: os.Stdin, Out: os.Stdout}
	var script bool
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Show a real cluster on this machine, and hurt it",
		Long:    demoHelp,
		Example: "  regent demo\n  regent demo kill-postgres leader     # from a second terminal\n  regent demo --script",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if script {
				o.Timing = demo.ScriptTiming
			}
			return runDemo(cmd.Context(), o, script)
		},
	}
	cmd.PersistentFlags().StringVar(&o.Dir, "dir", demo.DefaultDir(), "directory of the demo; one demo can run in each")
	f := cmd.Flags()
	f.BoolVar(&script, "script", false, "run the fixed tour, without a terminal")
	f.BoolVar(&o.Keep, "keep", false, "keep the members' directory, with their logs, under another name at the end")
	f.BoolVar(&o.Plain, "plain", false, "print lines instead of the view")
	f.IntVar(&o.Port, "port", 27400, "first port; 0: free ones")
	f.StringVar(&o.User, "user", "postgres", "user that root runs the members as")
	f.IntVar(&o.Timing.TTL, "ttl", o.Timing.TTL, "seconds that a lease lasts (not with --script)")
	f.IntVar(&o.Timing.LoopWait, "loop-wait", o.Timing.LoopWait, "seconds between two looks at everything (not with --script)")
	f.IntVar(&o.Timing.RetryTimeout, "retry-timeout", o.Timing.RetryTimeout, "seconds that an operation may be retried (not with --script)")
	for _, v := range []struct {
		verb       demo.Verb
		arg, short string
	}{
		{demo.KillPostgres, "[MEMBER]", "Kill a member's PostgreSQL; the leader's by default"},
		{demo.KillAgent, "[MEMBER]", "Kill a member's agent; its PostgreSQL and its guard run on"},
		{demo.Freeze, "[MEMBER]", "Freeze a member's agent (SIGSTOP)"},
		{demo.Thaw, "[MEMBER]", "Thaw a frozen agent; by default the one that is frozen"},
		{demo.KillMember, "[MEMBER]", "Kill agent, guard, store and PostgreSQL of a member"},
		{demo.StartMember, "[MEMBER]", "Start a killed agent or member again; by default the one that is down"},
		{demo.Switchover, "[TO]", "Switch over, to a member or to the best one"},
		{demo.Pause, "", "Stop the members from managing the cluster"},
		{demo.Resume, "", "Let the members manage the cluster again"},
		{demo.StatusVerb, "", "Print what the demo shows, and how to connect to its members"},
		{demo.Stop, "", "End the demo and wait until nothing is left of it"},
	} {
		cmd.AddCommand(newDemoOrder(&o.Dir, v.verb, v.arg, v.short))
	}
	return cmd
}

func newDemoOrder(dir *string, verb demo.Verb, arg, short string) *cobra.Command {
	check := cobra.NoArgs
	if arg != "" {
		check = cobra.MaximumNArgs(1)
	}
	return &cobra.Command{
		Use: strings.TrimSpace(string(verb) + " " + arg), Short: short, Args: arguments(check),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := demo.Send(cmd.Context(), *dir, demo.Order{Verb: verb, Member: first(args)})
			if err != nil {
				return err
			}
			if !a.OK {
				return &ctl.ExitError{Code: 1, Message: a.Text}
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(a.Text, "\n")); err != nil {
				return err
			}
			if verb == demo.Stop {
				return awaitEnd(cmd.Context(), *dir)
			}
			return nil
		},
	}
}

// awaitEnd waits until a demo that was stopped has removed its directory, which is the last that it does.
func awaitEnd(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Lstat(filepath.Clean(dir)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the demo: %w", ctx.Err())
		}
	}
}

// runDemo starts the keeper, which starts this program again to be the demo.
func runDemo(ctx context.Context, o demo.Options, script bool) error {
	if !demo.Inner() {
		code, err := demo.Keep(o.Dir)
		if err != nil {
			return err
		}
		if code != 0 {
			return &ctl.ExitError{Code: code} // the demo has said why
		}
		return nil
	}
	ctx, release, err := demo.ForgetKeeper(ctx)
	if err != nil {
		return err
	}
	defer release()
	if script {
		return demo.Script(ctx, o)
	}
	return demo.Show(ctx, o)
}
