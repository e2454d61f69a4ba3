package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd/embedded"
	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/engine/runner"
	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
	"github.com/regent-ha/regent/httpapi"
	"github.com/regent-ha/regent/internal/bootclock"
	"github.com/regent-ha/regent/internal/config"
	"github.com/regent-ha/regent/pgdriver"
	"github.com/regent-ha/regent/pgdriver/fence"
)

// Agent is a member at work.
type Agent struct {
	path    string
	version string
	log     *zap.Logger
	cfg     *config.Config

	raft   *embedded.Server // nil without an embedded store
	store  backends.Store
	driver *pgdriver.Driver
	fence  *fence.Fence // nil when the guard is off
	events *eventlog.Writer
	api    *httpapi.Server
	runner *runner.Runner
	exec   *executor
	doors  *doors
	docs   *documents

	shutdown sync.Once
}

// New opens everything that a member needs, in the order in which a failure costs least: what is wrong with the
// configuration or the machine is said before anything is started. path is read again on reload.
func New(ctx context.Context, path string, cfg *config.Config, version string, log *zap.Logger) (*Agent, error) {
	a := &Agent{path: path, version: version, log: log, cfg: cfg, docs: newDocuments()}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *Agent) open(ctx context.Context) error {
	c := a.cfg
	if err := checkPort("restapi.listen", c.RestAPI.Listen); err != nil {
		return err
	}
	dc, err := driverConfig(c, a.log.Named("postgresql"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dc.DataDir), 0o700); err != nil {
		return fmt.Errorf("postgresql.data_dir: %w", err)
	}
	if a.driver, err = pgdriver.New(dc); err != nil {
		return err
	}
	if a.fence, err = openFence(c, a.log.Named("guard")); err != nil {
		return err
	}
	if err := a.openEvents(); err != nil {
		return err
	}
	if c.Embedded != nil {
		if a.raft, err = embedded.Start(ctx, embeddedConfig(c, a.log.Named("store"))); err != nil {
			return fmt.Errorf("start the embedded store: %w", err)
		}
	}
	if a.store, err = a.openStore(ctx); err != nil {
		return err
	}
	peers, err := httpapi.NewClient(ClientConfig(c))
	if err != nil {
		return fmt.Errorf("prepare the client for other members: %w", err)
	}
	a.doors = &doors{
		post: a.post, store: a.store, poke: a.driver.Poke, now: bootclock.Now, reload: a.reload,
		open: map[string]chan events.AnswerOperator{},
	}
	a.exec = &executor{
		post: a.post, answer: a.doors.answer, now: bootclock.Now, store: a.store, driver: a.driver, peers: peers, docs: a.docs,
		log: a.log, slot: make(chan struct{}, 1), cancels: map[uint64]context.CancelFunc{},
	}
	if a.fence != nil {
		a.exec.fence = a.fence
	}
	a.runner = runner.New(runner.Config{
		Engine: engine.New(engine.Options{HashStates: true}), Recorder: recorder{a.events}, Executor: a.exec,
		Now: bootclock.Now, Wall: time.Now, Observe: narrate(a.log),
	})
	a.doors.runner = a.runner
	a.api, err = httpapi.New(apiConfig(c, peers, a.log.Named("restapi")), a.doors)
	return err
}

// openStore keeps trying while the store is not there yet: an agent may be started before it.
func (a *Agent) openStore(ctx context.Context) (backends.Store, error) {
	for {
		store, err := OpenStore(ctx, a.cfg, a.cfg.Name, a.log.Named("store"))
		if err == nil || ctx.Err() != nil || errors.Is(err, backends.ErrDenied) {
			return store, err
		}
		a.log.Warn("the store cannot be opened yet", zap.Error(err))
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (a *Agent) openEvents() error {
	l := a.cfg.Regent.EventLog
	w, report, err := eventlog.Open(l.Dir, eventlog.Options{
		SegmentBytes: l.SegmentSizeBytes, MaxBytes: l.MaxSizeBytes,
		Version: a.version, Member: a.cfg.Name, Scope: a.cfg.Scope,
		OnStall: func(stalled bool, _ uint64) { // by Run, when all is open
			a.post(events.StorageStalled{Stalled: stalled, Missing: a.events.Dropped()})
		},
	})
	if err != nil {
		return err
	}
	a.events = w
	if report.Torn != nil {
		a.log.Warn("the event log had a torn tail, which was cut", zap.Any("tail", report.Torn))
	}
	if report.Damage != nil {
		a.log.Error("the event log is damaged: it is kept as it is, and goes on in a new segment", zap.Error(report.Damage))
	}
	return nil
}

// Run works until the engine exits or ctx ends, and returns the engine's exit code. ctx ending is not an
// orderly stop: Shutdown is.
func (a *Agent) Run(ctx context.Context) (int, error) {
	work := newParts(ctx)
	a.exec.base = work.ctx
	// The event log outlives everything else, so that the last decisions are on record.
	record, stopRecord := context.WithCancel(context.WithoutCancel(ctx))
	recorded := make(chan error, 1)
	go func() { recorded <- a.events.Run(record) }() // joined below
	a.post(events.Started{Member: memberConfig(a.cfg, a.store.Limits()), Version: a.version})
	if a.fence != nil {
		work.start("guard", func(ctx context.Context) error { return a.fence.Run(ctx, a.post) })
	}
	work.start("postgresql", func(ctx context.Context) error { return a.driver.Run(ctx, a.post) })
	work.start("store", func(ctx context.Context) error { return a.store.Watch(ctx, a.post) })
	work.start("restapi", a.api.Run)
	if a.raft != nil {
		work.start("store leadership", a.keepStoreLeaderAway)
	}
	code, runErr := a.runner.Run(work.ctx)
	if runErr == nil {
		a.standDown(work.ctx)
	}
	work.stop()
	a.exec.wait()
	err := work.wait()
	stopRecord()
	if e := <-recorded; e != nil && !errors.Is(e, context.Canceled) {
		a.log.Warn("the end of the event log may be missing", zap.Error(e))
	}
	if err == nil && ctx.Err() == nil {
		err = runErr
	}
	return code, errors.Join(err, a.close())
}

// standDown releases the guard at the end of an orderly exit, if PostgreSQL is known to be down: an armed guard would
// stay behind, fire for nothing, and then kill a PostgreSQL that an operator starts by hand.
func (a *Agent) standDown(ctx context.Context) {
	s := a.runner.Status()
	if a.fence == nil || s.State != engine.Exited || s.Postgres.Running || s.Postgres.Sampled == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.exec.disarmGuard(ctx); err != nil {
		a.log.Warn("the guard stays behind", zap.Error(err))
	}
}

// post gives a fact to the engine, without its secrets. It is the only way there.
func (a *Agent) post(f events.Fact) { a.runner.Post(a.docs.redact(f)) }

// Shutdown asks the engine to stop PostgreSQL, hand over and exit.
func (a *Agent) Shutdown(reason string) {
	a.shutdown.Do(func() { a.post(events.ShutdownAsked{Reason: reason}) })
}

// reload reads the configuration file again; what is wrong with it is said, and nothing changes.
func (a *Agent) reload() error {
	c, warnings, err := config.Load(a.path)
	for _, w := range warnings {
		a.log.Warn("configuration", zap.String("field", w.Field), zap.String("warning", w.Text))
	}
	if err != nil {
		return fmt.Errorf("reload %s: %w", a.path, err)
	}
	dc, err := driverConfig(c, a.log.Named("postgresql"))
	if err != nil {
		return err
	}
	if err := a.driver.SetLocal(dc); err != nil {
		return err
	}
	m := memberConfig(c, a.store.Limits())
	a.post(events.OperatorAsked{Request: events.OperatorRequest{Verb: events.AskReload, Member: &m}})
	return nil
}

// Reload is what SIGHUP asks for.
func (a *Agent) Reload() {
	if err := a.reload(); err != nil {
		a.log.Error("the configuration was not reloaded, the old one stays in force", zap.Error(err))
	}
}

// keepStoreLeaderAway moves the raft leader of the embedded store off this host while PostgreSQL's primary
// is here, so that the death of this host is not also an election of the store.
func (a *Agent) keepStoreLeaderAway(ctx context.Context) error {
	pause := time.NewTicker(2 * time.Second)
	defer pause.Stop()
	for {
		if s := a.runner.Status(); s.State == engine.Leading {
			if to, err := a.raft.MoveLeaderAway(ctx, a.cfg.Name); err != nil && ctx.Err() == nil {
				a.log.Debug("the store's leader stays here for now", zap.Error(err))
			} else if to != "" {
				a.log.Info("moved the store's leader off the primary's host", zap.String("to", to))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.raft.Failed():
			return err
		case <-pause.C:
		}
	}
}

// close gives back what open took, in reverse.
func (a *Agent) close() error {
	var errs []error
	if a.api != nil {
		if err := a.api.Close(); !errors.Is(err, net.ErrClosed) { // Run has closed it already
			errs = append(errs, err)
		}
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.raft != nil {
		errs = append(errs, a.raft.Close())
	}
	if a.fence != nil {
		errs = append(errs, a.fence.Close())
	}
	return errors.Join(errs...)
}
