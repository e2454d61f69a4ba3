package nats

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

// readKeyTTL is how long a member's =read key outlives its last read.
const readKeyTTL = time.Hour

// directory is the cluster's directory as a linearizable read showed it: the last message of each
// key, markers of deletions included, by key relative to the directory, encoded.
type directory struct {
	revision uint64
	messages map[string]stored
}

// Snapshot reads everything, linearizably (C2).
func (s *Store) Snapshot(ctx context.Context) (events.DCSSnapshot, error) {
	const op = "read snapshot"
	ctx, leave, err := s.enter(ctx, op)
	if err != nil {
		return events.DCSSnapshot{}, err
	}
	defer leave()
	return s.snapshot(ctx, op)
}

func (s *Store) snapshot(ctx context.Context, op string) (events.DCSSnapshot, error) {
	d, err := s.read(ctx, s.ops, op)
	if err != nil {
		return events.DCSSnapshot{}, err
	}
	snap := events.DCSSnapshot{Revision: d.revision}
	for key, m := range d.messages {
		if path, ok := decodeKey(key); ok && m.live {
			snap.Keys = append(snap.Keys, events.KeyValue{Key: path, Value: m.value, Revision: m.seq})
		}
	}
	sort.Slice(snap.Keys, func(i, j int) bool { return snap.Keys[i].Key < snap.Keys[j].Key })
	return snap, nil
}

// read reads the directory so that every write is shown that was acknowledged before the call. The
// write of the =read key gives a sequence S that is above all of them; the messages are then asked for in
// order, and the end counts only once something not older than S was among them. A key that changes meanwhile
// moves to the end and is met there.
func (s *Store) read(ctx context.Context, l *link, op string) (directory, error) {
	t, pace := tally{op: op}, pacer{}
	probe := message{subject: s.root() + readKey + "." + encodePath(s.cfg.Member), ttl: readKeyTTL, token: newToken()}
	var since uint64
	for {
		seq, err := l.publish(ctx, probe, always)
		if err == nil {
			since = seq
			break
		}
		if !t.addRead(err) || !pace.wait(ctx) {
			return directory{}, t.outcome()
		}
	}
	d := directory{messages: map[string]stored{}}
	for {
		raw, err := l.raw(ctx, func(ctx context.Context, stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
			return stream.GetMsg(ctx, d.revision+1, jetstream.WithGetMsgSubject(s.root()+">"))
		})
		switch {
		case err == nil && raw != nil:
			d.revision = raw.Sequence
			if key := strings.TrimPrefix(raw.Subject, s.root()); !strings.HasPrefix(key, readKey+".") {
				d.messages[key] = storedOf(raw.Sequence, raw.Header, raw.Data)
			}
			continue
		case err == nil && d.revision >= since:
			s.saw(d.revision)
			return d, nil
		case err != nil && !t.addRead(err):
			return directory{}, t.outcome()
		}
		if err == nil {
			t.err = errBehind
		}
		if !pace.wait(ctx) {
			return directory{}, t.outcome()
		}
	}
}

// readLeader reads the leader key for sure.
func (s *Store) readLeader(ctx context.Context, op string) (stored, error) {
	d, err := s.read(ctx, s.lease, op)
	return d.messages[events.KeyLeader], err
}

var errBehind = backends.Fail("the answering server lags behind the stream's quorum", backends.ErrNotApplied, nil)
