package simulations

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// L1: members that work, and reach each other and the store, have exactly one writable primary among them within a bound; or each of them
// says why only a person can help, and that is true.

// leaderBound is how long healed members may take to get a leader: the holder of the lease, cut off from the answers of the store,
// may prolong it for a ttl yet; then it ends, at most a ttl later, or as late as the store lets it last; then members look at the store, ask each other
// and try again a few times, finish a start, and one is promoted.
func (c *Chaos) leaderBound() time.Duration {
	lasts := c.longest
	if c.store.Kind() == "consul" { // a session lasts up to twice its ttl
		lasts *= 2
	}
	return c.longest + lasts + 2*c.retry + 3*c.loopWait + electionBudget + startBudget
}

const (
	electionBudget = 10 * time.Second // some questions to members that do not answer
	startBudget    = 20 * time.Second // crash recovery, and a promotion
	retryBudget    = 10 * time.Second // one more try of an effect
)

// demandLeader waits until some members have a leader, and returns it.
func (c *Chaos) demandLeader(members []*Member) *Member {
	bound := c.leaderBound()
	leads := func() bool { return slices.Contains(members, c.Leader()) }
	if c.RunUntil(bound, leads) {
		return c.Leader()
	}
	if without := c.withoutExcuse(members); len(without) > 0 && !c.spoiled() {
		c.breaks(fmt.Sprintf("L1: %v after %s were healed: leader key %q, %s", bound, names(members), c.LeaderKey(), strings.Join(without, "; ")))
	}
	return nil
}

// withoutExcuse tells how those members stand that neither lead nor say truly why not. One that tries something again and again is
// asked for as long as that takes, since it says why between two tries.
func (c *Chaos) withoutExcuse(members []*Member) []string {
	excused := make([]string, len(members))
	c.RunUntil(c.loopWait+retryBudget, func() bool {
		all := true
		for i, m := range members {
			if excused[i] == "" {
				excused[i], _ = c.excuse(m, nil)
			}
			all = all && excused[i] != ""
		}
		return all
	})
	var without []string
	for i, m := range members {
		if excused[i] == "" {
			without = append(without, m.stand())
		} else {
			c.explained(m, excused[i])
		}
	}
	return without
}

// stand tells how a member is.
func (m *Member) stand() string {
	if !m.alive {
		return m.name + " dead"
	}
	return m.name + " " + m.State()
}
