package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/regent-ha/regent/cmd/regent/ctl"
)

func newShowConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show-config [CLUSTER]",
		Short: "Show the dynamic configuration",
		Args:  clusterOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error { return s.ShowConfig(ctx) })
		},
	}
}

func newEditConfigCommand() *cobra.Command {
	var o ctl.EditOptions
	cmd := &cobra.Command{
		Use:   "edit-config [CLUSTER]",
		Short: "Change the dynamic configuration",
		Long: `Change the dynamic configuration: with --replace, then --apply, then -s and -p, in this order, or
without any of them in an editor. Values that members would refuse are refused.`,
		Args: clusterOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			return operate(cmd, first(args), func(ctx context.Context, s *ctl.Session) error { return s.EditConfig(ctx, o) })
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "do not show the changes")
	f.StringArrayVarP(&o.Set, "set", "s", nil, "dotted.path=value, in YAML; null deletes")
	f.StringArrayVarP(&o.Pg, "pg", "p", nil, "parameter=value; null deletes")
	f.StringVar(&o.Apply, "apply", "", "lay a YAML file over it (- for standard input)")
	f.StringVar(&o.Replace, "replace", "", "replace it by a YAML file (- for standard input)")
	f.BoolVar(&o.Force, "force", false, "do not ask")
	return cmd
}
