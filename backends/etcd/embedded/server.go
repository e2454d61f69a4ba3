package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Server is a running member.
type Server struct {
	cfg    Config
	etcd   *embed.Etcd
	failed chan error
}

// closePatience bounds how long Close waits for a member that has failed inside.
const closePatience = 15 * time.Second

// segmentOnce guards the one setting that etcd keeps in a package variable.
var segmentOnce sync.Once

// Start starts the member. It returns when the member runs; until the others run too it may have no
// quorum, see Ready. A member without data waits until it knows how to start (see the package page) or
// ctx ends.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, fmt.Errorf("start etcd member %q: %w", cfg.Name, err)
	}
	segmentOnce.Do(func() { wal.SegmentSizeBytes = segmentBytes })
	s := &Server{cfg: cfg, failed: make(chan error, 1)}
	state, cluster, err := cfg.howToStart(ctx)
	if err != nil {
		return nil, fmt.Errorf("start etcd member %s: %w", cfg.Name, err)
	}
	ecfg, err := cfg.etcd(state, cluster, s.containedLog())
	if err != nil {
		return nil, fmt.Errorf("start etcd member %s: %w", cfg.Name, err)
	}
	if err := s.launch(ecfg); err != nil {
		return nil, fmt.Errorf("start etcd member %s: %w", cfg.Name, err)
	}
	return s, nil
}

// launch starts etcd on a goroutine of its own, since a fatal error ends the goroutine that meets it.
func (s *Server) launch(ecfg *embed.Config) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("it met a fatal error")
		defer func() { done <- err }()
		s.etcd, err = embed.StartEtcd(ecfg)
	}()
	err := <-done
	if err != nil {
		select {
		case cause := <-s.failed:
			err = cause
		default:
		}
	}
	return err
}

// containedLog is the log with which a fatal error of etcd ends its goroutine, not the process.
func (s *Server) containedLog() *zap.Logger {
	return s.cfg.Log.WithOptions(zap.WithFatalHook(contain{s}), zap.WithPanicHook(contain{s}))
}

type contain struct{ s *Server }

// OnWrite is called after the fatal entry was written.
func (c contain) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	select {
	case c.s.failed <- fmt.Errorf("etcd member %s failed: %s %v", c.s.cfg.Name, e.Message, enc.Fields):
	default:
	}
	runtime.Goexit()
}

// Ready is closed when the member has joined a quorum for the first time.
func (s *Server) Ready() <-chan struct{} { return s.etcd.Server.ReadyNotify() }

// Failed delivers the first error that the member cannot survive. It should then be closed, or left as it is:
// to the others it looks like a dead member.
func (s *Server) Failed() <-chan error { return s.failed }

// Stopped is closed when the member has ended: closed, or taken out of the cluster by somebody.
func (s *Server) Stopped() <-chan struct{} { return s.etcd.Server.StopNotify() }

// Err delivers errors of the member's listeners.
func (s *Server) Err() <-chan error { return s.etcd.Err() }

// Endpoints are the client URLs of all members that have told theirs.
func (s *Server) Endpoints() []string { return s.etcd.Server.Cluster().ClientURLs() }

// Close ends the member and waits for it. A raft leader hands its leadership over first.
func (s *Server) Close() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.etcd.Close()
	}()
	t := time.NewTimer(closePatience)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("close etcd member %s: %w", s.cfg.Name, errors.New("it has failed inside and does not end"))
	}
}
