package simulations

import (
	"fmt"
	"strings"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// noFlapping is L3: a leader that nothing has touched keeps its role. Each fault may cost one change of the leader, and on a day
// without faults there is none. Where messages are lost by chance nobody knows what touched whom, and nothing is judged until the end.
type noFlapping struct {
	watching
	led     *Member
	changes int
}

func (j *noFlapping) step(m *Member, _ *events.Input, d *events.Decision) {
	if d.To != engine.Leading || j.led == m {
		return
	}
	if j.led != nil {
		j.changes++
	}
	if j.w.calm && j.changes > j.w.injected {
		j.breaks("%s leads after %s: %d changes of the leader, and %d faults", m.name, j.led.name, j.changes, j.w.injected)
	}
	j.led = m
}

// demandHealth is what a cluster owes in which everything works: a leader, the same that its core had, whom all follow, and then nothing more.
func (c *Chaos) demandHealth(led *Member) {
	leader := c.demandLeader(c.members)
	if leader == nil || c.spoiled() || !c.demandRejoin(c.members) {
		return
	}
	leader = c.Leader()
	if led != nil && led != leader {
		c.breaks(fmt.Sprintf("L3: %s led, and when all others were healed %s leads", led.name, leader.name))
		return
	}
	c.World.Run(2*c.ttl + 3*c.loopWait)
	if c.Leader() != leader || len(c.unsettled(c.members)) > 0 {
		c.breaks(fmt.Sprintf("L3: the healed cluster does not stay as it is: %s", strings.Join(c.unsettled(c.members), "; ")))
	}
}
