package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/sim"
)

func newSimCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Rehearse decisions on a modelled world, under faults",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimRunCommand(), newSimLiveCommand(), newSimReplayCommand())
	return cmd
}

func newSimRunCommand() *cobra.Command {
	o := sim.Options{}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run bad days of clusters, one for each seed, and judge what the engine decides",
		Long: `Run the engine of this program, unchanged, in a world of models with virtual time: a store, PostgreSQL, the network, hosts, operators.
Each seed is a cluster and a day of faults; then everything is healed, and the cluster has to become healthy and to stay so.

A run that breaks an invariant is run again, made small, and printed with the faults that it needs and the command that repeats it. The
exit code is 1 then.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			o.Out, o.Log = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return sim.Run(ctx, &o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Stores, "backend", []string{"all"}, "stores to run on")
	f.Uint64Var(&o.From, "from", 0, "the first seed")
	f.Uint64Var(&o.Seeds, "seeds", 100, "how many seeds, on each store")
	f.DurationVar(&o.For, "for", 10*time.Minute, "how long faults last in each run, in virtual time")
	f.DurationVar(&o.Every, "every", 0, "mean time between two faults, as 4m, with small faults all the time; 0: a bad day, with one every few seconds")
	f.IntVar(&o.Members, "members", 0, "members of each cluster; 0: two to four, as the seed draws")
	f.BoolVar(&o.Wipes, "wipes", false, "stores may lose what they had acknowledged; what must hold then is judged in part only")
	f.IntVar(&o.Jobs, "jobs", runtime.NumCPU(), "runs at once")
	f.IntVar(&o.Most, "most", 5, "begin nothing new after so many failures; 0: go on")
	f.IntVar(&o.Shrink, "shrink", 300, "runs that making a failure small may take; 0: leave it as it is")
	f.StringVar(&o.Tapes, "tapes", ".", "directory for the tapes of failures")
	f.StringVar(&o.Tape, "tape", "", "run this tape, tell everything that happens, and nothing else")
	f.StringVar(&o.JSON, "json", "", "write a line of JSON for each run to a file")
	f.StringVar(&o.HTML, "html", "", "write a page of what was covered to a file: rules, effects, faults, stores, failures; plays the scenarios too")
	f.StringVar(&o.JUnit, "junit", "", "write JUnit's XML to a file")
	return cmd
}

func newSimLiveCommand() *cobra.Command {
	o := sim.LiveOptions{}
	cmd := &cobra.Command{
		Use:   "live FILE…",
		Short: "Play scenarios on real agents, PostgreSQL servers and a real store",
		Long: `Play scenarios, the files that the simulator plays too, on real agents, real PostgreSQL and a real store. Each member and each server of
the store is a host of its own, a network namespace; cuts are rules of nftables, one way too, frozen is SIGSTOP, killed is SIGKILL, and a killed host
loses its cable first.

What came of each block is printed beside what the file tells. Times differ, and with them who wins a race, so that another way is told and no failure.
The exit code is 1 if a condition of the scenario (until, expect) does not hold, or something that is judged: no two members accept writes
at once; no acknowledged write is missing where none may be; once everything is mended, one member leads and all others stream, or
say that only a person can help; all event logs replay.

Needed: Linux, root (PostgreSQL and agents run as another user), PostgreSQL's programs, ip and nft (apt install postgresql iproute2 nftables),
and the server of the store: etcd (apt install etcd-server) or nats-server, in PATH or beside this program. Nothing outside of the
namespaces is changed or reached, and nothing is left of them.`,
		Example: "  regent sim live simulations/testdata/scenarios/agent_frozen.txt --scale 5",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find the own program: %w", err)
			}
			o.Files, o.Out, o.Log = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return sim.Live(ctx, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Store, "backend", "etcd", "store to play on: "+strings.Join(sim.LiveStores, ", "))
	f.IntVar(&o.Scale, "scale", 1, "divide all times of the scenario by this, settings too, but not the deadlines of conditions, which are 15s at least")
	f.BoolVar(&o.Keep, "keep", false, "keep the directory of the cluster, with the event logs")
	f.BoolVar(&o.Verbose, "verbose", false, "print decisions with their reasons")
	f.StringVar(&o.User, "user", "postgres", "user that PostgreSQL, agents and store run as")
	return cmd
}
