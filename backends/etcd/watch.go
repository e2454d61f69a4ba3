package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/metadata"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

const (
	// pingEvery is how often an idle watch reads the leader key with quorum: an open stream proves
	// nothing about a server that is frozen or cut off.
	pingEvery = time.Second
	// pingTimeout bounds such a read, and the snapshot that begins a session.
	pingTimeout = time.Second
	// silence is after how long without an answer the store is reported unreachable: longer than an
	// election with etcd's default times.
	silence = 2500 * time.Millisecond
	// behindLimit is how many reads in a row may show a newer leader key than the stream delivered.
	behindLimit = 2
)

// Watch delivers facts until ctx ends or the store is closed (see backends.Store). After each snapshot it
// delivers DCSReach{true}, if that is news.
func (s *Store) Watch(ctx context.Context, sink func(events.Fact)) error {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return backends.Fail("watch", backends.ErrNotApplied, err)
	}
	defer leave()
	w := &watch{s: s, sink: sink, answered: s.cfg.Now()}
	for failures := 1; ctx.Err() == nil; failures++ {
		n, start := s.order()[0], s.cfg.Now()
		err := w.session(ctx, n)
		if ctx.Err() != nil {
			break
		}
		n.suspect.Store(int64(s.cfg.Now().Add(suspicion)))
		w.failed(fmt.Errorf("%s: %w", n.addr, err))
		if w.fresh {
			w.fresh, failures = false, 0
		}
		if failures > 0 && failures%len(s.nodes) == 0 || failures == 0 && s.cfg.Now().Sub(start) < pingEvery {
			pause(ctx, 100*time.Millisecond)
		}
	}
	return nil
}

// watch is the state of one call of Watch across its sessions with servers.
type watch struct {
	s    *Store
	sink func(events.Fact)
	// answered is when the store last proved that it can be reached.
	answered events.Instant
	// reach is what was last reported, nil for nothing yet.
	reach *bool
	// fresh tells that the session that ended had delivered a snapshot.
	fresh bool
}

func (w *watch) report(reachable bool, reason string) {
	if w.reach == nil || *w.reach != reachable {
		w.reach = &reachable
		w.sink(events.DCSReach{Reachable: reachable, Reason: reason})
	}
}

// failed takes note of the end of a session or of an attempt at one.
func (w *watch) failed(err error) {
	w.s.cfg.Log.Debug("a watch session ended", zap.Error(err))
	_, class := judge(err, true)
	if w.s.cfg.Now().Sub(w.answered) >= silence || errors.Is(class, backends.ErrDenied) {
		w.report(false, err.Error())
	}
}

// patience is how long the next attempt may take, so that silence is reported in time.
func (w *watch) patience() time.Duration {
	if w.reach != nil && !*w.reach {
		return pingTimeout
	}
	left := w.answered.Add(silence).Sub(w.s.cfg.Now())
	return min(max(left, leastShare), pingTimeout)
}

// pong is what a ping learned.
type pong struct {
	head   *pb.ResponseHeader
	leader int64 // revision of the leader key, zero if it is absent
	err    error
}

// session delivers a snapshot and the changes after it from one server, until that server fails.
func (w *watch) session(ctx context.Context, n *node) error {
	ctx, cancel := context.WithCancel(ctx)
	var children sync.WaitGroup
	defer children.Wait()
	defer cancel()
	var snap events.DCSSnapshot
	begin, stop := context.WithTimeout(ctx, w.patience())
	begin, sent := withSentNote(begin)
	err := w.s.authorized(begin, n, sent, func(ctx context.Context, n *node) error {
		var err error
		snap, err = w.s.read(ctx, n)
		return err
	})
	stop()
	if err != nil {
		return fmt.Errorf("read the directory: %w", err)
	}
	stream, err := w.open(ctx, n, snap.Revision)
	if err != nil {
		return fmt.Errorf("open a watch: %w", err)
	}
	w.s.prefer(n)
	n.suspect.Store(0)
	w.answered, w.fresh = w.s.cfg.Now(), true
	w.sink(snap)
	w.report(true, "")

	responses, pongs := make(chan *pb.WatchResponse), make(chan pong)
	ended := make(chan error, 1)
	children.Go(func() { ended <- receive(ctx, stream, responses) })
	children.Go(func() { w.pings(ctx, n, pongs) })
	return w.deliver(newCourse(snap), responses, pongs, ended)
}

// open begins a watch after a revision.
func (w *watch) open(ctx context.Context, n *node, after uint64) (pb.Watch_WatchClient, error) {
	ctx = clientv3.WithRequireLeader(ctx)
	if token := w.s.token.Load(); token != nil && *token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, *token)
	}
	stream, err := n.watch().Watch(ctx)
	if err != nil {
		return nil, err
	}
	return stream, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(w.s.dir), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(w.s.dir)), StartRevision: int64(after) + 1,
	}}})
}

func receive(ctx context.Context, stream pb.Watch_WatchClient, to chan<- *pb.WatchResponse) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case to <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pings reads the leader key with quorum, again and again.
func (w *watch) pings(ctx context.Context, n *node, to chan<- pong) {
	for ctx.Err() == nil {
		pause(ctx, pingEvery)
		call, cancel := context.WithTimeout(ctx, pingTimeout)
		call, sent := withSentNote(call)
		var p pong
		p.err = w.s.authorized(call, n, sent, func(ctx context.Context, n *node) error {
			r, err := n.kv(dataLane).Get(ctx, w.s.leader())
			if err != nil {
				return err
			}
			n.saw(r.Header)
			p.head = r.Header
			if kv := only(r.Kvs); kv != nil {
				p.leader = kv.ModRevision
			}
			return nil
		})
		cancel()
		select {
		case to <- p:
		case <-ctx.Done():
		}
	}
}

// course is where a session has got to.
type course struct {
	revision uint64 // of the newest thing that the server told
	leader   uint64 // revision of the leader key, zero if it is absent
	behind   int    // pings in a row that knew a newer leader key
}

func newCourse(snap events.DCSSnapshot) *course {
	c := &course{revision: snap.Revision}
	for _, kv := range snap.Keys {
		if kv.Key == events.KeyLeader {
			c.leader = kv.Revision
		}
	}
	return c
}

func (w *watch) deliver(c *course, responses <-chan *pb.WatchResponse, pongs <-chan pong, ended <-chan error) error {
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("watch: %w", err)
		case r := <-responses:
			if r.Canceled {
				return fmt.Errorf("watch cancelled by the server: %s (compacted at %d)", r.CancelReason, r.CompactRevision)
			}
			w.changes(c, r)
		case p := <-pongs:
			if p.err != nil {
				return fmt.Errorf("read with quorum: %w", p.err)
			}
			w.answered = w.s.cfg.Now()
			if err := c.check(p); err != nil {
				return err
			}
		}
	}
}

func (w *watch) changes(c *course, r *pb.WatchResponse) {
	c.revision = max(c.revision, uint64(r.Header.GetRevision()))
	for _, e := range r.Events {
		change := events.DCSChange{KeyValue: w.s.keyValue(e.Kv), Deleted: e.Type == mvccpb.Event_DELETE}
		if change.Key == events.KeyLeader {
			c.leader, c.behind = change.Revision, 0
			if change.Deleted {
				c.leader = 0
			}
		}
		w.sink(change)
	}
}

var (
	errRegress = errors.New("the store's revision went back: another or a restored store")
	errBehind  = errors.New("the watch does not deliver what a read with quorum shows")
)

// check compares what a read with quorum shows with what the stream delivered.
func (c *course) check(p pong) error {
	if uint64(p.head.Revision) < c.revision {
		return errRegress
	}
	if uint64(p.leader) == c.leader {
		c.behind = 0
		return nil
	}
	if c.behind++; c.behind > behindLimit { // one or two may overtake the stream
		return errBehind
	}
	return nil
}
