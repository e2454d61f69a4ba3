package linear

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/stores"
)

// liar is an adapter that breaks the contract.
type liar struct {
	stores.Session
	ask    func(r *stores.Request)
	answer func(r *stores.Request, a *stores.Response)
}

func (l *liar) Do(r stores.Request, answer func(stores.Response)) {
	if l.ask != nil {
		l.ask(&r)
	}
	l.Session.Do(r, func(a stores.Response) {
		if l.answer != nil {
			l.answer(&r, &a)
		}
		answer(a)
	})
}

// liars are what the checker must find.
var liars = []struct {
	name string
	lie  wrong
}{
	{"a read is answered by a server that lags behind", func(_ *history, s stores.Session) stores.Session {
		var before *stores.Response
		return &liar{Session: s, answer: func(r *stores.Request, a *stores.Response) {
			if r.Op == stores.Snapshot && a.Outcome == events.Done {
				told := *a
				if before != nil {
					*a = *before
				}
				before = &told
			}
		}}
	}},
	{"the condition of a write is not sent", func(_ *history, s stores.Session) stores.Session {
		return &liar{Session: s, ask: func(r *stores.Request) {
			if r.Op == stores.Put {
				r.Expect = events.Any
			}
		}}
	}},
	{"a lost acquisition is told as won", func(h *history, s stores.Session) stores.Session {
		return &liar{Session: s, answer: func(r *stores.Request, a *stores.Response) {
			if r.Op == stores.Acquire && a.Outcome == events.Lost {
				a.Outcome, a.Lease.Epoch, a.Lease.SentAt, a.Lease.TTL = events.Done, h.model.Contents().Revision, h.k.Now(), r.TTL
			}
		}}
	}},
	{"a lease is promised for longer than it lasts", func(_ *history, s stores.Session) stores.Session {
		return &liar{Session: s, answer: func(r *stores.Request, a *stores.Response) {
			if a.Outcome == events.Done && (r.Op == stores.Acquire || r.Op == stores.Renew) {
				a.Lease.TTL *= 2
			}
		}}
	}},
	{"a write whose outcome is unknown is told as not applied", func(_ *history, s stores.Session) stores.Session {
		return &liar{Session: s, answer: func(r *stores.Request, a *stores.Response) {
			if r.Op == stores.Put && a.Outcome == events.Unknown {
				a.Outcome = events.Failed
			}
		}}
	}},
	{"a renewal that was lost is told as done", func(h *history, s stores.Session) stores.Session {
		return &liar{Session: s, answer: func(r *stores.Request, a *stores.Response) {
			if r.Op == stores.Renew && a.Outcome != events.Done {
				a.Outcome, a.Lease.Epoch, a.Lease.SentAt, a.Lease.TTL = events.Done, r.Epoch, h.k.Now(), r.TTL
			}
		}}
	}},
}

// TestLiarsAreCaught shows that the checker can fail: each adapter that breaks the contract is found out in a few histories of a model.
func TestLiarsAreCaught(t *testing.T) {
	const seeds = 60
	for _, l := range liars {
		t.Run(l.name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				h := record(models["etcd"], seed, 40*time.Second, l.lie)
				if porcupine.CheckOperationsTimeout(promised.ToModel(), h.ops, patience) == porcupine.Illegal {
					t.Logf("after %d histories", seed+1)
					return
				}
			}
			t.Errorf("nobody has noticed in %d histories", seeds)
		})
	}
}
