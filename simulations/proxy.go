package simulations

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
)

// proxy is a load balancer as clients use one: every second it asks each member's /primary, and sends writes and reads to the one that says
// yes. It reaches all members. What it is told comes from what an agent has published, which may be older than the truth.
type proxy struct {
	w     *World
	timer *kernel.Timer
	to    *Member // where connections go, nil: nobody says yes
	saw   uint64  // the newest commit that a read has shown
	Stats ProxyStats
}

// ProxyStats is what clients behind the proxy met, in seconds, of which each has one write and one read.
type ProxyStats struct {
	Seconds int `json:"seconds"`
	// NoPrimary are those in which nobody said yes; Refused those in which the write was sent and refused, Unanswered in which no answer came.
	NoPrimary    int `json:"no_primary"`
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused"`
	Unanswered   int `json:"unanswered"`
	// Stale are those in which the proxy's choice did not accept writes, and another did; LongestStale is the longest row of them.
	Stale        int `json:"stale"`
	LongestStale int `json:"longest_stale"`
	// BackReads are reads that did not show what one before had shown: a failover has lost it.
	BackReads int `json:"back_reads"`

	staleNow int
}

const (
	proxyEach    = time.Second
	proxyLatency = 2 * time.Millisecond
)

func newProxy(w *World) *proxy {
	p := &proxy{w: w}
	p.timer = w.k.NewTimer(p.ask)
	p.timer.Set(w.Now().Add(proxyEach))
	return p
}

// saysPrimary is a member's answer to /primary (H1 of package httpapi); a host that is down or an agent that is frozen gives none.
func (m *Member) saysPrimary() bool {
	if !m.alive || m.frozen || m.down {
		return false
	}
	s := m.engine.Status()
	running := s.PostgresState == "running" && s.Postgres.Answering && !s.Postgres.Server.InRecovery
	if !s.DCSReachable && s.Settings.Pause {
		return running
	}
	return running && s.HoldsLease(m.now())
}

// ask asks all members, and uses what they say a moment later.
func (p *proxy) ask() {
	now := p.w.Now()
	p.timer.Set(now.Add(proxyEach))
	var says *Member
	for _, m := range p.w.members {
		if !m.saysPrimary() {
			continue
		}
		if says != nil && m.engine.Status().DCSReachable && says.engine.Status().DCSReachable {
			p.w.breaks("S1: " + says.name + " and " + m.name + " both say that they are the primary")
		}
		if says == nil || m == p.to {
			says = m // it goes on with the one that it has
		}
	}
	p.w.after(proxyLatency, func() {
		p.to = says
		p.use()
	})
}

// use sends a write and a read to where the proxy leads.
func (p *proxy) use() {
	s := &p.Stats
	s.Seconds++
	accepts := p.w.accepting()
	if accepts != nil && p.to != accepts {
		s.Stale++
		s.staleNow++
		s.LongestStale = max(s.LongestStale, s.staleNow)
	} else {
		s.staleNow = 0
	}
	if p.to == nil {
		s.NoPrimary++
		return
	}
	if p.w.Quiet {
		return
	}
	p.read(p.to.pg)
	p.w.clients.ledger.Write(p.to.pg, func(id uint64, a postgres.Answer) {
		switch a {
		case postgres.Acknowledged:
			s.Acknowledged++
			p.saw = max(p.saw, id)
		case postgres.Refused:
			s.Refused++
		default:
			s.Unanswered++
		}
	})
}

// read looks for the newest commit that was seen before.
func (p *proxy) read(from *postgres.Server) {
	if p.saw != 0 && from.Writable() && !from.Visible(p.saw) {
		p.Stats.BackReads++
		p.saw = 0
	}
}
