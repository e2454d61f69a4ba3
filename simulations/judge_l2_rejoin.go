package simulations

import (
	"fmt"
	"strings"
	"time"

	"github.com/regent-ha/regent/engine"
)

// L2: every member that works streams from the leader within a bound, or says why it needs a person, and that is true.

// rejoinBound is how long members may take to follow a leader: some tries to compare histories, a rewind or a copy, and a start.
func (c *Chaos) rejoinBound() time.Duration {
	return 2*c.retry + 4*c.loopWait + copyBudget + startBudget
}

const copyBudget = 30 * time.Second

// demandRejoin waits until all of some members follow their leader.
func (c *Chaos) demandRejoin(members []*Member) bool {
	bound := c.rejoinBound()
	if !c.RunUntil(bound, func() bool { return c.Leader() != nil && len(c.unsettled(members)) == 0 }) {
		if c.spoiled() {
			return false
		}
		c.breaks(fmt.Sprintf("L2: %v after %s had a leader: leader key %q, %s", bound, names(members), c.LeaderKey(),
			strings.Join(c.unsettled(members), "; ")))
		return false
	}
	for _, m := range members {
		if !m.follows() && m != c.Leader() {
			why, _ := c.excuse(m, c.Leader())
			c.explained(m, why)
		}
	}
	return true
}

func (m *Member) follows() bool {
	return m.alive && m.engine.State() == engine.Following && m.pg.Streaming()
}

// unsettled are those of some members that neither lead nor follow, nor wait for a person for a true reason.
func (c *Chaos) unsettled(members []*Member) []string {
	var out []string
	leader := c.Leader()
	for _, m := range members {
		if m == leader || m.follows() {
			continue
		}
		if _, ok := c.excuse(m, leader); !ok || leader == nil {
			out = append(out, m.stand())
		}
	}
	return out
}
