package nats

import (
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Timing of the raft group.
const (
	// The time without a leader: 4.4, 4.8, 5.0, 6.9, 7.3 and 8.3 s, seen on nats-server 2.15.2; the timeout itself
	// is 4 to 9 s (source: raft.go minElectionTimeoutDefault).
	electionLeast, electionMost = 4 * time.Second, 8500 * time.Millisecond
	// A leader that steps down hands over (source: raft.go minCampaignTimeoutDefault).
	campaignLeast, campaignMost = 100 * time.Millisecond, 800 * time.Millisecond
	// A leader without its majority notices in a check every 10 s (source: raft.go lostQuorumIntervalDefault).
	lostQuorumLeast, lostQuorumMost = 10 * time.Second, 20 * time.Second
	// heartbeat is how often a leader makes itself known.
	heartbeat = time.Second
	// A write with three replicas and sync_interval: always: p50 2.7 ms, seen on nats-server 2.15.2.
	commitLeast, commitMost = 2 * time.Millisecond, 5 * time.Millisecond
	syncLeast, syncMost     = 200 * time.Microsecond, 2 * time.Millisecond
	// hop is the way between two servers.
	hop = 300 * time.Microsecond
)

// server is one nats-server.
type server struct {
	up, frozen bool
	group      int // of those that reach each other
	life       int // grows with each start
	offset     time.Duration
	// synced tells that its log has everything that was committed.
	synced bool
	// view is what it has applied; nil: everything.
	view *view
	// believes tells that it takes itself for the leader of the stream.
	believes bool
	doubts   bool // a check whether it still has a majority is planned
	// stuck is what waits in its sockets while it is frozen.
	stuck []func()
}

func (s *server) runs() bool { return s.up && !s.frozen }

// proposal is a write on its way to a majority.
type proposal struct {
	message
	wall  events.Instant
	q     *query // nil: nobody waits for it
	ready events.Instant
	alone bool // no other server can have it
}

// reach tells whether two running servers can talk.
func (m *Model) reach(a, b int) bool {
	return a == b || m.servers[a].up && m.servers[b].up && m.servers[a].group == m.servers[b].group
}

// quorum tells whether a server that leads can commit.
func (m *Model) quorum(leader int) bool {
	n := 0
	for i := range m.servers {
		if s := &m.servers[i]; s.runs() && s.synced && s.group == m.servers[leader].group {
			n++
		}
	}
	return n > len(m.servers)/2
}

// active tells whether the stream has a leader that can commit now.
func (m *Model) active() bool { return m.lead >= 0 && m.servers[m.lead].runs() && m.quorum(m.lead) }

// leaveBehind keeps the state of servers that will not get the write that is about to be committed.
func (m *Model) leaveBehind() {
	if m.lead < 0 || !m.servers[m.lead].runs() {
		return // an operator's edit, which all will have
	}
	for i := range m.servers {
		s := &m.servers[i]
		if !s.synced || s.runs() && s.group == m.servers[m.lead].group {
			continue
		}
		s.synced = false
		if s.view == nil {
			s.view = m.data.clone()
		}
	}
}

// propose takes a write into the leader's log.
func (m *Model) propose(p proposal) {
	now := m.env.Now()
	p.alone = !m.quorum(m.lead)
	p.ready = now.Add(kernel.Between(m.env, "how long a write takes to commit", commitLeast, commitMost))
	if n := len(m.pipe); n > 0 && m.pipe[n-1].ready > p.ready {
		p.ready = m.pipe[n-1].ready
	}
	m.pipe = append(m.pipe, p)
	m.env.After(p.ready.Sub(now), m.drainer)
}

// drain commits what is ready, as long as a majority is there.
func (m *Model) drain() {
	for len(m.pipe) > 0 && m.pipe[0].ready <= m.env.Now() && m.active() {
		p := m.pipe[0]
		n := copy(m.pipe, m.pipe[1:])
		m.pipe[n] = proposal{}
		m.pipe = m.pipe[:n]
		seq := m.commit(p.message, p.wall)
		if p.q != nil {
			m.reply(p.q, m.lead, result{seq: seq})
		}
	}
}

// inFlight tells whether a write to a key is under way.
func (m *Model) inFlight(key string) bool {
	for i := range m.pipe {
		if m.pipe[i].key == key {
			return true
		}
	}
	return false
}

// reconsider follows a change of who can talk: it plans elections, or lets a leader go on.
func (m *Model) reconsider() {
	for i := range m.servers {
		m.plan(i)
		if s := &m.servers[i]; s.runs() && s.believes && !s.doubts && !m.quorum(i) {
			m.watchQuorum(i)
		}
	}
	if m.active() {
		m.electing++ // whatever was planned
		m.planned = false
		m.drain()
		m.watchEnd(m.env.Now()) // what ended meanwhile
		return
	}
	if !m.planned {
		wait := kernel.Between(m.env, "how long an election takes", electionLeast, electionMost)
		switch {
		case len(m.servers) == 1:
			wait = kernel.Between(m.env, "how long the server recovers", 50*time.Millisecond, 500*time.Millisecond)
		case m.cold:
			wait += kernel.Between(m.env, "how long the meta leader's election takes", 0, electionMost)
		}
		m.planElection(wait)
	}
}

func (m *Model) planElection(wait time.Duration) {
	m.planned = true
	m.electing++
	round := m.electing
	m.env.After(wait, func() {
		if round == m.electing {
			m.planned = false
			m.elect()
		}
	})
}

// plan brings one server up to date where it can be, or lets a deposed leader learn of it.
func (m *Model) plan(i int) {
	s := &m.servers[i]
	if !s.runs() || m.lead < 0 || m.lead == i || !m.servers[m.lead].runs() || !m.reach(i, m.lead) {
		return
	}
	life, term := s.life, m.term
	if s.believes {
		m.env.After(kernel.Between(m.env, "how long a deposed leader does not know", 0, heartbeat), func() {
			if s.life == life && m.lead != i && s.runs() {
				s.believes = false
			}
		})
	}
	if s.synced {
		return
	}
	m.env.After(kernel.Between(m.env, "how long a replica takes to catch up", 50*time.Millisecond, 500*time.Millisecond), func() {
		if s.synced || s.life != life || m.term != term || !s.runs() || m.lead < 0 || !m.servers[m.lead].runs() || !m.reach(i, m.lead) {
			return
		}
		s.synced = true
		m.applied(i)
		m.reconsider()
	})
}

// applied ends the lag of a server: its consumers deliver what they had not.
func (m *Model) applied(i int) {
	m.servers[i].view = nil
	for _, s := range m.sessions {
		if c := s.watch.consumer; c != nil && c.host == i {
			c.catchUp()
		}
	}
}

// elect makes a leader of a server that has everything and is heard by a majority. Where there is none, the
// next change of who can talk plans another election.
func (m *Model) elect() {
	var able []int
	for i := range m.servers {
		if s := &m.servers[i]; s.runs() && s.synced && m.voters(i) > len(m.servers)/2 {
			able = append(able, i)
		}
	}
	if len(able) == 0 {
		if m.majority() {
			m.planElection(electionLeast) // a vote without a winner
		}
		return
	}
	for k, i := range able {
		if len(able) > 1 && (i == m.lead || i == m.notNext) { // the deposed one is slow to run again
			able = append(able[:k], able[k+1:]...)
			break
		}
	}
	m.crown(able[m.env.Pick("who wins the election", len(able))])
}

// majority tells whether enough servers run and reach each other.
func (m *Model) majority() bool {
	for i := range m.servers {
		if m.servers[i].runs() && m.voters(i) > len(m.servers)/2 {
			return true
		}
	}
	return false
}

func (m *Model) voters(of int) int {
	n := 0
	for i := range m.servers {
		if m.servers[i].runs() && m.servers[i].group == m.servers[of].group {
			n++
		}
	}
	return n
}

// crown makes a server the leader. What its predecessor had proposed survives as far as it has reached this one.
func (m *Model) crown(i int) {
	flying := m.pipe
	m.pipe = nil
	former := m.lead
	if former >= 0 && former != i && m.reach(former, i) && m.servers[former].runs() {
		m.servers[former].believes = false
	}
	m.lead, m.notNext, m.cold = i, -1, false
	m.term++
	m.servers[i].believes = true
	if m.servers[i].view != nil {
		m.applied(i)
	}
	if former == i {
		m.pipe = flying
		m.reconsider()
		return
	}
	kept := 0
	for kept < len(flying) && !flying[kept].alone {
		kept++
	}
	if kept > 0 {
		kept = m.env.Pick("how many proposals outlive their leader", kept+1)
	}
	for _, p := range flying[:kept] {
		m.commit(p.message, p.wall)
	}
	m.reconsider()
}

// watchQuorum ends the leadership of a server that has lost its majority for so long that it noticed.
func (m *Model) watchQuorum(i int) {
	life, term := m.servers[i].life, m.term
	m.servers[i].doubts = true
	m.env.After(kernel.Between(m.env, "how long a leader does not miss its majority", lostQuorumLeast, lostQuorumMost), func() {
		s := &m.servers[i]
		s.doubts = false
		if s.life != life || !s.runs() || !s.believes || m.lead == i && (m.term != term || m.quorum(i)) {
			return
		}
		s.believes = false
		if m.lead == i {
			m.lead = -1
			m.pipe = nil
			m.reconsider()
		}
	})
}
