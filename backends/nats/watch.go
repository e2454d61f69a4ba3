package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// Timing of a watch.
const (
	heartbeat       = time.Second
	silence         = 4 * heartbeat // without any word from the consumer
	pingEvery       = time.Second
	pingTimeout     = 2 * time.Second
	unheard         = 3 * time.Second // after which the store counts as unreachable
	resyncLeast     = time.Second     // for a snapshot, however long nothing was heard
	consumeTimeout  = 2 * time.Second // for the creation of a consumer
	retryEvery      = 250 * time.Millisecond
	consumerIdleEnd = 30 * time.Second // after which the server removes an abandoned consumer
	watchBuffer     = 4096             // messages; an overflow is a hole, and a hole is a new snapshot
)

// watch is one call of Watch. All its facts leave from one goroutine.
type watch struct {
	s         *Store
	sink      func(events.Fact)
	reachable *bool
	heard     events.Instant // when the store last answered
	ending    sync.WaitGroup // consumers of former sessions that are being removed
}

// Watch delivers facts until ctx ends or the store is closed (C1). Its error is why it ended.
func (s *Store) Watch(ctx context.Context, sink func(events.Fact)) error {
	ctx, leave, err := s.enter(ctx, "watch")
	if err != nil {
		return err
	}
	defer leave()
	w := &watch{s: s, sink: sink, heard: s.cfg.Now()}
	defer w.ending.Wait()
	for {
		err := w.session(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("watch: %w", context.Cause(ctx))
		}
		s.log.Info("the watch begins anew", zap.Error(err))
		t := time.NewTimer(retryEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// reach reports a change of reachability.
func (w *watch) reach(err error) {
	now := err == nil
	if w.reachable != nil && *w.reachable == now {
		return
	}
	w.reachable = &now
	fact := events.DCSReach{Reachable: now}
	if err != nil {
		fact.Reason = err.Error()
	}
	w.sink(fact)
}

// session is a snapshot and the changes after it, until there is a hole in them.
func (w *watch) session(ctx context.Context) error {
	broken := w.s.ops.broken()
	snap, err := w.resync(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.reach(err)
	if err != nil {
		return err
	}
	w.heard = w.s.cfg.Now()
	w.sink(snap)
	c, err := w.consume(ctx, snap.Revision)
	if err != nil {
		return err // until there is a consumer, the snapshots of each new session are what is delivered
	}
	defer w.ending.Go(c.end) // may wait for a connection to a server that hangs
	pings := c.startPings(ctx)
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		select {
		case m := <-c.messages:
			quiet.Reset(silence)
			change, err := c.take(m)
			if err != nil {
				return err
			}
			if change != nil {
				w.s.saw(change.Revision)
				w.sink(*change)
			}
		case err := <-pings:
			if err != nil {
				w.reach(err)
				return err
			}
			w.heard = w.s.cfg.Now()
		case <-broken:
			return errors.New("the connection broke")
		case <-quiet.C:
			return fmt.Errorf("no word from the consumer for %v", silence)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resync reads a snapshot, making the bucket again if somebody deleted it.
func (w *watch) resync(ctx context.Context) (events.DCSSnapshot, error) {
	since := w.s.cfg.Now().Sub(w.heard)
	ctx, cancel := context.WithTimeout(ctx, max(unheard-since, resyncLeast))
	defer cancel()
	if _, err := w.s.lookAt(ctx, w.s.ops); errors.Is(err, jetstream.ErrStreamNotFound) {
		w.s.log.Warn("the bucket is gone: creating it anew", zap.String("bucket", w.s.cfg.Bucket))
		if err := w.s.ensureBucket(ctx); err != nil {
			return events.DCSSnapshot{}, err
		}
	}
	return w.s.snapshot(ctx, "read snapshot for the watch")
}

// consumer is an ephemeral consumer of the directory and its subscription.
type consumer struct {
	s         *Store
	sub       *nats.Subscription
	messages  chan *nats.Msg
	name      string
	delivered uint64 // consumer's number of the last message
	seen      uint64 // sequence of the last message

	stop  context.CancelFunc // of the pings
	pings sync.WaitGroup
}

// consume subscribes to what comes after revision.
func (w *watch) consume(ctx context.Context, revision uint64) (*consumer, error) {
	c := &consumer{s: w.s, messages: make(chan *nats.Msg, watchBuffer), seen: revision, stop: func() {}}
	l := w.s.ops
	inbox := l.nc.NewInbox()
	sub, err := l.nc.ChanSubscribe(inbox, c.messages)
	if err != nil {
		return nil, fmt.Errorf("subscribe for the watch: %w", err)
	}
	c.sub = sub
	ctx, cancel := context.WithTimeout(ctx, consumeTimeout)
	defer cancel()
	made, err := l.stream.CreatePushConsumer(ctx, jetstream.ConsumerConfig{
		Description:       "watch of " + w.s.cfg.Scope + " by " + w.s.cfg.Member,
		DeliverSubject:    inbox,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       revision + 1,
		FilterSubject:     w.s.root() + ">",
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        1,
		IdleHeartbeat:     heartbeat,
		InactiveThreshold: consumerIdleEnd,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		w.ending.Go(c.end)
		return nil, fmt.Errorf("create the consumer of the watch: %w", err)
	}
	c.name = made.CachedInfo().Name
	return c, nil
}

// end removes the consumer. One whose server does not answer removes itself.
func (c *consumer) end() {
	c.stop()
	c.pings.Wait()
	if err := c.sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		c.s.log.Debug("end the subscription of the watch", zap.Error(err))
	}
	if c.name == "" || !c.s.ops.nc.IsConnected() {
		return
	}
	// Without waiting for the answer: nothing would be done about it.
	if err := c.s.ops.nc.PublishRequest(c.s.ops.api+"CONSUMER.DELETE."+c.s.ops.name+"."+c.name, c.s.ops.nc.NewInbox(), nil); err != nil {
		c.s.log.Debug("remove the consumer of the watch", zap.Error(err))
	}
}

// startPings asks the stream's leader again and again; the first silence is the last result.
func (c *consumer) startPings(ctx context.Context) <-chan error {
	ctx, c.stop = context.WithCancel(ctx)
	results := make(chan error)
	c.pings.Go(func() {
		every := time.NewTicker(pingEvery)
		defer every.Stop()
		for {
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
			select {
			case results <- c.ping(ctx):
			case <-ctx.Done():
				return
			}
		}
	})
	return results
}

// ping reads the leader key through the stream's leader.
func (c *consumer) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	for pace := (pacer{}); ; {
		_, err := c.s.ops.last(ctx, c.s.subject(events.KeyLeader))
		if err == nil || ctx.Err() != nil || errors.Is(err, backends.ErrNotApplied) && !errors.Is(err, errUnavailable) || !pace.wait(ctx) {
			return err
		}
	}
}

// take turns a message into a change, nil for one that is none of the directory, and finds holes.
func (c *consumer) take(m *nats.Msg) (*events.DCSChange, error) {
	if status := m.Header.Get("Status"); status != "" {
		if status != "100" {
			return nil, fmt.Errorf("the consumer of the watch ended: %s %s", status, m.Header.Get("Description"))
		}
		// A heartbeat names the last message that was sent before it.
		if n, err := strconv.ParseUint(m.Header.Get("Nats-Last-Consumer"), 10, 64); err == nil && n != c.delivered {
			return nil, fmt.Errorf("the watch missed messages %d to %d of its consumer", c.delivered+1, n)
		}
		return nil, nil
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read the numbers of a message: %w", err)
	}
	if meta.Sequence.Consumer != c.delivered+1 {
		return nil, fmt.Errorf("the watch got message %d of its consumer after %d", meta.Sequence.Consumer, c.delivered)
	}
	c.delivered++
	if meta.Sequence.Stream <= c.seen {
		return nil, nil // a consumer on a replica that lags begins before the snapshot
	}
	c.seen = meta.Sequence.Stream
	path, ok := decodeKey(strings.TrimPrefix(m.Subject, c.s.root()))
	if !ok {
		return nil, nil
	}
	now := storedOf(c.seen, m.Header, m.Data)
	change := events.DCSChange{KeyValue: events.KeyValue{Key: path, Value: now.value, Revision: now.seq}, Deleted: !now.live}
	if change.Deleted {
		change.Value = ""
	}
	return &change, nil
}
