package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/regent-ha/regent/cmd/regent/agent"
	"github.com/regent-ha/regent/cmd/regent/ctl"
	"github.com/regent-ha/regent/internal/config"
)

func newRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run FILE",
		Short: "Run the agent beside a PostgreSQL server",
		Long: `Run the agent with a configuration file (or directory) in Patroni's format, with the section etcd3, embedded or nats.

SIGTERM and SIGINT stop PostgreSQL, hand the leadership over and end the agent; a second one ends it at once. In a
paused cluster PostgreSQL is left running. SIGHUP reads the configuration again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runAgent(args[0]) },
	}
}

// boundMemory keeps the agent small beside a PostgreSQL that wants the memory. GOGC and GOMAXPROCS of the environment win.
//
// The live heap is about 3 MB. Twice as much is headroom: with less, the burst of work of a switchover meant a collection
// every few milliseconds, at the moment when writers wait. Each processor of the runtime has caches of its own (2 MB in
// all for 32 idle ones), and four let the loop go on beside a collection and a burst of work. There is no memory limit, for
// near it the collector would take time from the loop; and nothing is given back after the start, for under strict
// accounting (vm.overcommit_memory=2) memory that was released may not be had again when it is needed.
func boundMemory() {
	const processors, headroomPercent = 4, 200
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(headroomPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) > processors {
		runtime.GOMAXPROCS(processors)
	}
}

func runAgent(path string) error {
	cfg, warnings, err := config.Load(path)
	if err != nil {
		return err
	}
	boundMemory()
	log, err := newLogger(cfg.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // standard error cannot be synced everywhere, and nothing is left to be told
	log = log.With(zap.String("member", cfg.Name))
	for _, w := range warnings {
		log.Warn("configuration", zap.String("field", w.Field), zap.String("warning", w.Text))
	}
	if os.Geteuid() == 0 {
		return errors.New("PostgreSQL refuses to run as root: start the agent as the user that owns the data directory, as a rule postgres")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan *agent.Agent, 1)
	go attend(signals, started, cancel) // ends with the process
	a, err := agent.New(ctx, path, cfg, version, log)
	if err != nil {
		return err
	}
	started <- a
	log.Info("the agent starts", zap.String("version", version), zap.String("scope", cfg.Scope), zap.String("store", cfg.Store()))
	code, err := a.Run(ctx)
	if err != nil {
		return err
	}
	if code != 0 {
		return &ctl.ExitError{Code: code, Message: fmt.Sprintf("the agent ended with code %d: see the log", code)}
	}
	log.Info("the agent has ended")
	return nil
}

// attend turns signals into what they ask for.
func attend(signals <-chan os.Signal, started <-chan *agent.Agent, cancel context.CancelFunc) {
	var a *agent.Agent
	asked := false
	for {
		select {
		case a = <-started:
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP && a != nil:
				a.Reload()
			case s == syscall.SIGHUP:
			case a == nil || asked:
				cancel()
			default:
				asked = true
				a.Shutdown(s.String())
			}
		}
	}
}

// newLogger builds the logger that the section log asks for.
func newLogger(c config.Log) (*zap.Logger, error) {
	cfg := zap.NewProductionConfig()
	cfg.Sampling = nil
	cfg.DisableCaller, cfg.DisableStacktrace = true, true
	cfg.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	cfg.Encoding = "console"
	if c.Format == "json" {
		cfg.Encoding = "json"
	}
	cfg.OutputPaths = []string{"stderr"}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return nil, fmt.Errorf("log.dir: %w", err)
		}
		cfg.OutputPaths = []string{c.Dir + "/regent.log"}
	}
	levels := map[string]zapcore.Level{
		"DEBUG": zap.DebugLevel, "INFO": zap.InfoLevel, "WARNING": zap.WarnLevel, "ERROR": zap.ErrorLevel, "CRITICAL": zap.ErrorLevel,
	}
	if l, ok := levels[c.Level]; ok {
		cfg.Level = zap.NewAtomicLevelAt(l)
	}
	log, err := cfg.Build()
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return log, nil
}
