package simulations

import "github.com/regent-ha/regent/events"

// digest is FNV-1a over what is put into it.
type digest uint64

const (
	digestBegin digest = 14695981039346656037
	digestPrime digest = 1099511628211
)

func (h *digest) text(s string) {
	x := *h
	for i := range len(s) {
		x = (x ^ digest(s[i])) * digestPrime
	}
	*h = (x ^ 0xff) * digestPrime
}

func (h *digest) number(n uint64) {
	*h = (*h ^ digest(n)) * digestPrime
	*h = (*h ^ digest(n>>32)) * digestPrime
}

func (h *digest) truth(b bool) {
	if b {
		h.number(1)
		return
	}
	h.number(0)
}

// decision takes in a decision, without allocating.
func (h *digest) decision(d *events.Decision) {
	h.number(d.Input)
	h.text(string(d.From))
	h.text(string(d.To))
	h.text(string(d.Rule))
	h.text(d.Why)
	for i := range d.Fired {
		h.text(string(d.Fired[i].Rule))
		h.text(d.Fired[i].Why)
	}
	for i := range d.Refusals {
		h.text(string(d.Refusals[i].Rule))
		h.text(d.Refusals[i].Candidate)
		h.text(d.Refusals[i].Why)
	}
	for i := range d.Effects {
		h.effect(&d.Effects[i])
	}
	for _, b := range d.Broken {
		h.text(b)
	}
	h.number(uint64(d.WakeAt))
}

func (h *digest) effect(e *events.Effect) {
	h.number(e.ID)
	h.number(e.Epoch)
	h.number(e.Revision)
	h.number(uint64(e.Deadline))
	h.text(string(e.Action.ActionKind()))
	switch a := e.Action.(type) {
	case events.AcquireLease:
		h.number(a.Expect)
		h.number(uint64(a.TTL))
	case events.RenewLease:
		h.number(uint64(a.TTL))
	case events.HandOverLease:
		h.text(a.To)
		h.number(uint64(a.TTL))
	case events.PutKey:
		h.text(a.Key)
		h.text(a.Value)
		h.number(uint64(a.Expect))
	case events.DeleteKey:
		h.text(a.Key)
		h.number(uint64(a.Expect))
	case events.PutMember:
		h.text(a.Value)
	case events.ArmGuard:
		h.number(uint64(a.Deadline))
	case events.StartPostgres:
		h.truth(a.AsPrimary)
		h.text(a.From.Name)
	case events.RestartPostgres:
		h.truth(a.AsPrimary)
		h.text(a.From.Name)
	case events.StopPostgres:
		h.text(string(a.Mode))
	case events.Follow:
		h.text(a.From.Name)
	case events.Clone:
		h.text(a.From.Name)
		h.truth(a.Discard)
	case events.Rewind:
		h.text(a.From.Name)
	case events.AskPeers:
		h.number(uint64(len(a.Peers)))
	case events.Cancel:
		h.number(a.Effect)
	}
}
