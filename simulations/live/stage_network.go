package live

import "github.com/regent-ha/regent/simulations/scenario"

// storeCut is the name of a host's cut from the store.
const storeCut = "store"

// CutStore cuts a member off from the servers of the store or, where these are in the agents, what the agents' stores say to each other and to other agents.
func (s *Stage) CutStore(member string, way scenario.Way, refused bool) error {
	m := s.member(member)
	c := cut{leaves: way != scenario.Answers, arrives: way != scenario.Requests, refused: refused, ports: s.c.storePorts()}
	for _, server := range s.c.servers {
		c.others = append(c.others, server.host)
	}
	for _, o := range s.c.members {
		if !s.c.external() && o != m {
			c.others = append(c.others, o.host)
		}
	}
	return m.host.setCut(storeCut, c)
}

// storePorts are those of the store where it is in the agents, none otherwise.
func (c *Cluster) storePorts() []int {
	var ports []int
	if c.external() {
		return nil
	}
	for _, m := range c.members {
		ports = append(ports, m.port+portStoreClient, m.port+portStorePeer)
	}
	return ports
}

// JoinStore ends it.
func (s *Stage) JoinStore(member string) error { return s.member(member).host.removeCut(storeCut) }

// CutMembers separates members. The way to the store stays open, even where it is in the agents.
func (s *Stage) CutMembers(a, b []string) error {
	for _, x := range a {
		for _, y := range b {
			c := cut{others: []*host{s.member(y).host}, leaves: true, arrives: true, except: s.c.storePorts()}
			if err := s.member(x).host.setCut(y, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// JoinMembers ends it.
func (s *Stage) JoinMembers(a, b []string) error {
	for _, x := range a {
		for _, y := range b {
			for _, cut := range []struct{ at, from string }{{x, y}, {y, x}} {
				if err := s.member(cut.at).host.removeCut(cut.from); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// SplitStore cuts a server of the store off from the others.
func (s *Stage) SplitStore(n int) error {
	server := s.c.servers[n-1]
	c := cut{leaves: true, arrives: true}
	for _, o := range s.c.servers {
		if o != server {
			c.others = append(c.others, o.host)
		}
	}
	return server.host.setCut(storeCut, c)
}

// HealStore ends all splits.
func (s *Stage) HealStore() error {
	for _, server := range s.c.servers {
		if err := server.host.removeCut(storeCut); err != nil {
			return err
		}
	}
	return nil
}

// healNetwork ends every cut.
func (s *Stage) healNetwork() error {
	for _, h := range s.c.room.hosts {
		if len(h.cuts) == 0 {
			continue
		}
		clear(h.cuts)
		if err := h.applyCuts(); err != nil {
			return err
		}
	}
	return nil
}
