package backendtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
)

var snapshotCases = []Case{
	{Name: "C1_snapshot_then_changes", run: snapshotThenChanges},
	{Name: "C1_watch_ends_with_its_context_and_with_its_store", run: watchEnds},
	{Name: "C1_watch_sees_only_its_scope", run: watchSeesOnlyItsScope},
	{Name: "C2_snapshot_shows_every_acknowledged_write", run: snapshotIsLinearizable},
	{Name: "C10_ended_context_returns_at_once", run: endedContext},
}

func snapshotThenChanges(e *env) {
	writer, reader := e.open("n1"), e.open("n2")
	for i := range 5 {
		_, err := writer.Put(e.ctx(), fmt.Sprintf("before%d", i), "x", 0)
		e.must("put", err)
	}
	w := e.watch(reader)
	if n := len(w.state()); n != 5 {
		e.Fatalf("the first snapshot has %d keys, want 5: %v", n, w.state())
	}
	var worst, sum time.Duration
	const rounds = 40
	for i := range rounds {
		key := fmt.Sprintf("k%d", i%4)
		rev, err := writer.Put(e.ctx(), key, fmt.Sprint(i), events.Any)
		e.must("put", err)
		acked := e.h.Now()
		e.poll(e.h.Prompt, fmt.Sprintf("change of %s at %d", key, rev), func() bool {
			kv, ok := w.get(key)
			return ok && kv.Revision == rev && kv.Value == fmt.Sprint(i)
		})
		late := max(0, w.when(key).Sub(acked))
		worst, sum = max(worst, late), sum+late
	}
	e.Logf("watch latency after the writer's acknowledgement: mean %v, worst %v", sum/rounds, worst)
	e.must("delete", writer.Delete(e.ctx(), "k0", events.Any))
	e.poll(e.h.Prompt, "the deletion of k0", func() bool { return w.gone("k0") })
	w.converges(writer, e.h.Prompt)
	if n := w.count(); n > 2 { // one more is a store that was slow for a moment
		e.Errorf("%d snapshots without any gap, want one", n)
	}
	// A burst must arrive complete and in order; the watcher checks the order.
	for i := range 200 {
		_, err := writer.Put(e.ctx(), "burst", fmt.Sprint(i), events.Any)
		e.must("put", err)
	}
	w.converges(writer, patience)
}

func watchEnds(e *env) {
	s := e.open("n1")
	w := e.watch(s)
	second := e.watch(s)
	w.stop()
	_, err := s.Put(e.ctx(), "config", "{}", 0)
	e.must("put after one of two watches ended", err)
	second.converges(s, patience)

	closed := e.h.Open(e, e.scope, "n2")
	third := e.watch(closed)
	e.must("close", closed.Close())
	select {
	case <-third.done:
	case <-time.After(e.h.Prompt + time.Second):
		e.Error("Watch did not return after its store was closed")
	}
	if _, err := closed.Put(e.within(2*time.Second), "config", "{}", events.Any); err == nil {
		e.Error("a closed store accepted a write")
	}
}

func watchSeesOnlyItsScope(e *env) {
	s, near := e.open("n1"), e.openIn(e.scope+"2", "n1")
	w := e.watch(s)
	_, err := near.Put(e.ctx(), "config", "{}", 0)
	e.must("put in the other scope", err)
	e.acquire(near, 0)
	_, err = s.Put(e.ctx(), "history", "[]", 0)
	e.must("put", err)
	e.acquire(s, 0)
	e.poll(e.h.Prompt, "the leader key", func() bool { return !w.gone("leader") })
	if _, there := w.get("config"); there || len(w.state()) != 2 {
		e.Errorf("the watcher sees %v, want history and leader only", w.state())
	}
	if got := e.snapshot(s); len(got) != 2 {
		e.Errorf("the snapshot shows %v, want history and leader only", got)
	}
}

func snapshotIsLinearizable(e *env) {
	writer, reader := e.open("n1"), e.open("n2")
	e.must("snapshot of an empty cluster", func() error { _, err := reader.Snapshot(e.ctx()); return err }())
	for i := range 100 {
		key, value := fmt.Sprintf("k%d", i%3), fmt.Sprint(i)
		rev, err := writer.Put(e.ctx(), key, value, events.Any)
		e.must("put", err)
		snap, err := reader.Snapshot(e.ctx())
		e.must("snapshot", err)
		want := events.KeyValue{Key: key, Value: value, Revision: rev}
		if got := keysOf(snap)[key]; got != want {
			e.Fatalf("round %d: snapshot shows %+v, want %+v", i, got, want)
		}
		if snap.Revision < rev {
			e.Fatalf("snapshot of revision %d shows a key of revision %d", snap.Revision, rev)
		}
		writer, reader = reader, writer
	}
	e.must("delete", writer.Delete(e.ctx(), "k1", events.Any))
	if _, there := e.snapshot(reader)["k1"]; there {
		e.Error("snapshot shows a key after its deletion was acknowledged")
	}
	long := strings.Repeat("0123456789abcdef", 4096)
	_, err := writer.Put(e.ctx(), "config", long, 0)
	e.must("put of 64 kB", err)
	if got := e.snapshot(reader)["config"].Value; got != long {
		e.Errorf("a value of %d bytes came back with %d", len(long), len(got))
	}
}

func endedContext(e *env) {
	s := e.open("n1")
	l := e.acquire(s, 0)
	for name, call := range operations(s, l.Epoch, e.h.TTL) {
		ctx := e.within(0)
		start := e.h.Now()
		err := call(ctx)
		if took := e.h.Now().Sub(start); took > e.h.Prompt {
			e.Errorf("%s with an ended context took %v", name, took)
		}
		if got := backends.Classify(err); got != events.Failed && got != events.Unknown {
			e.Errorf("%s with an ended context: %v: classified %q", name, err, got)
		}
	}
}
