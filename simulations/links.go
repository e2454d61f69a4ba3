package simulations

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
)

// link is one direction between the hosts of two members. TCP repairs loss, disorder and duplicates: what is left of them is delay, and
// connections that are given up.
type link struct {
	cut    bool          // nothing arrives
	resets bool          // what is cut is refused rather than swallowed
	loss   int           // packets of a thousand that have to be sent again
	late   time.Duration // how much longer than others' its way is
}

// retransmission is how long TCP waits before it sends a packet again for the first time; the wait doubles each time.
const (
	retransmission = 200 * time.Millisecond
	mostSent       = 6 // times, after which everybody concerned has given up
)

// link is the way from one member's host to another's.
func (n *network) link(from, to *Member) *link { return &n.links[from.index][to.index] }

// joinLinks makes room for another member.
func (n *network) joinLinks() {
	for i := range n.links {
		n.links[i] = append(n.links[i], link{})
	}
	n.links = append(n.links, make([]link, len(n.links)+1))
}

// fate draws what becomes of a message from one member's host to another's, and how long it takes.
func (n *network) fate(from, to *Member, label string) (time.Duration, stores.Fate) {
	l := n.link(from, to)
	switch {
	case from.isolated || to.isolated || to.down || from.down || to.asleep || from.asleep:
		return 0, stores.Vanishes
	case l.cut && l.resets:
		return around(n.env, label, peerLatency), stores.Resets
	case l.cut:
		return 0, stores.Vanishes
	}
	d := around(n.env, label, peerLatency) + l.late
	if l.loss == 0 {
		return d, stores.Arrives
	}
	again, ok := n.sentAgain(l.loss)
	if !ok {
		return 0, stores.Vanishes
	}
	return d + again, stores.Arrives
}

// sentAgain draws how much later a message is for packets that were lost, and whether it arrives.
func (n *network) sentAgain(loss int) (time.Duration, bool) {
	d := time.Duration(0)
	for i := range mostSent {
		if !kernel.Chance(n.env, "a packet is lost", loss) {
			return d, true
		}
		d += retransmission << i
	}
	return 0, false
}

// reaches tells whether packets get from one member's host to another's; refuses that a sender learns at once that they do not; late by
// how much a stream between them lags behind others.
func (w *World) reaches(from, to string) bool {
	a, b := w.Member(from), w.Member(to)
	return !a.isolated && !b.isolated && !w.net.link(a, b).cut
}

func (w *World) refuses(from, to string) bool {
	l := w.net.link(w.Member(from), w.Member(to))
	return l.cut && l.resets
}

func (w *World) late(from, to string) time.Duration {
	a, b := w.Member(from), w.Member(to)
	there, back := w.net.link(a, b), w.net.link(b, a)
	return max(there.late, back.late) + retransmission*time.Duration(there.loss+back.loss)/1000
}

// CutLink lets nothing get from one member's host to another's; JoinLinks ends whatever is wrong between two.
func (w *World) CutLink(from, to *Member, resets bool) {
	l := w.net.link(from, to)
	l.cut, l.resets = true, resets
	w.servers.Changed()
}

// JoinLinks makes the ways between two members' hosts good again.
func (w *World) JoinLinks(a, b *Member) {
	*w.net.link(a, b), *w.net.link(b, a) = link{}, link{}
	w.servers.Changed()
}

// SpoilLinks makes the ways between two members' hosts slow, or bad: so many packets of a thousand are lost.
func (w *World) SpoilLinks(a, b *Member, late time.Duration, loss int) {
	for _, l := range []*link{w.net.link(a, b), w.net.link(b, a)} {
		l.late, l.loss = late, loss
	}
	w.servers.Changed()
}

// healLinks makes all ways between members good again.
func (w *World) healLinks() {
	for i := range w.net.links {
		clear(w.net.links[i])
	}
	w.servers.Changed()
}
