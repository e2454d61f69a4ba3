package simulations

import (
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/postgres"
)

// clients write numbered commits to whichever server accepts them, one after the other.
type clients struct {
	w      *World
	ledger postgres.Ledger
	timer  *kernel.Timer
	each   time.Duration // between two commits
}

// writeEach is the time between two commits, unless Settings say another.
const writeEach = time.Second

func newClients(w *World) *clients {
	c := &clients{w: w, each: w.set.WriteEach}
	if c.each == 0 {
		c.each = writeEach
	}
	c.timer = w.k.NewTimer(func() {
		c.timer.Set(w.Now().Add(c.each))
		if w.Quiet {
			return
		}
		if m := w.accepting(); m != nil {
			c.ledger.Write(m.pg, nil)
		}
	})
	c.timer.Set(w.Now().Add(c.each))
	return c
}

// accepting is the first member whose PostgreSQL accepts writes, nil if none does.
func (w *World) accepting() *Member {
	for _, m := range w.members {
		if m.pg.Accepts() {
			return m
		}
	}
	return nil
}

// Ledger is what the clients know of their commits.
func (w *World) Ledger() *postgres.Ledger { return &w.clients.ledger }
