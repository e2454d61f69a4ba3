package differential

import (
	"slices"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// Wrong is a way in which a model can be wrong.
type Wrong struct {
	Name    string
	request func(*stores.Request)
	answer  func(r stores.Request, a *stores.Response)
	hides   func(events.Fact) bool
}

// Wrongs are ways in which a model can be wrong. A comparison that does not find them finds nothing.
var Wrongs = []Wrong{
	{Name: "a put ignores its condition", request: func(r *stores.Request) {
		if r.Op == stores.Put {
			r.Expect = events.Any
		}
	}},
	{Name: "a delete ignores its condition", request: func(r *stores.Request) {
		if r.Op == stores.Delete {
			r.Expect = events.Any
		}
	}},
	{Name: "leases last longer", request: longer(stores.Acquire, stores.Renew), answer: shorter(stores.Acquire, stores.Renew)},
	{Name: "member records last longer", request: longer(stores.PutMember)},
	{Name: "a renewal in vain succeeds", answer: func(r stores.Request, a *stores.Response) {
		if r.Op == stores.Renew && a.Outcome == events.Lost {
			a.Outcome, a.Lease.Epoch, a.Lease.TTL = events.Done, r.Epoch, r.TTL
		}
	}},
	{Name: "a release is not one", request: func(r *stores.Request) {
		if r.Op == stores.Release {
			r.Op = stores.Snapshot
		}
	}},
	{Name: "a key's revision is the store's", answer: func(r stores.Request, a *stores.Response) {
		if r.Op == stores.Snapshot {
			a.Snapshot.Keys = slices.Clone(a.Snapshot.Keys)
			for i := range a.Snapshot.Keys {
				a.Snapshot.Keys[i].Revision = a.Snapshot.Revision
			}
		}
	}},
	{Name: "what was prepared is not used", request: func(r *stores.Request) {
		if r.Op == stores.Prepare {
			r.Op = stores.Snapshot
		}
	}},
	{Name: "the end of a key is not told", hides: func(f events.Fact) bool {
		c, is := f.(events.DCSChange)
		return is && c.Deleted && c.Key != events.KeyLeader
	}},
}

const longerBy = 3

func longer(ops ...stores.Op) func(*stores.Request) {
	return func(r *stores.Request) {
		if slices.Contains(ops, r.Op) {
			r.TTL *= longerBy
		}
	}
}

// shorter tells of what longer did as if it had not.
func shorter(ops ...stores.Op) func(stores.Request, *stores.Response) {
	return func(r stores.Request, a *stores.Response) {
		if slices.Contains(ops, r.Op) {
			a.Lease.TTL /= longerBy
		}
	}
}

// Build makes the wrong variant of a model.
func (w Wrong) Build(build Build) Build {
	return func(env kernel.Env) stores.Model { return wrongModel{build(env), w} }
}

type wrongModel struct {
	stores.Model
	w Wrong
}

func (m wrongModel) Open(member string, l stores.Line) stores.Session {
	return wrongSession{m.Model.Open(member, l), m.w}
}

type wrongSession struct {
	stores.Session
	w Wrong
}

func (s wrongSession) Do(r stores.Request, answer func(stores.Response)) {
	asked := r
	if s.w.request != nil {
		s.w.request(&r)
	}
	s.Session.Do(r, func(a stores.Response) {
		if s.w.answer != nil {
			s.w.answer(asked, &a)
		}
		answer(a)
	})
}

func (s wrongSession) Watch(sink func(events.Fact)) {
	s.Session.Watch(func(f events.Fact) {
		if s.w.hides == nil || !s.w.hides(f) {
			sink(f)
		}
	})
}
