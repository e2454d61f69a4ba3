package httpapi

import (
	"sync"
	"sync/atomic"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// Patroni's words for states and roles that the doors decide by.
const (
	stateRunning = "running"
	stateUnknown = "unknown"
	rolePrimary  = "primary"
	roleReplica  = "replica"
	roleStandby  = "standby_leader"
)

// picture is a published status with what is derived from it once and used by many requests.
type picture struct {
	*engine.Status
	modes modes

	once   sync.Once
	status []byte // GET /patroni, spaced
	err    error
}

// gallery holds the picture of the latest status.
type gallery struct {
	doors  Doors
	latest atomic.Pointer[picture]
}

// look returns the latest picture, nil before the first status.
func (g *gallery) look() *picture {
	s := g.doors.Status()
	if s == nil {
		return nil
	}
	if p := g.latest.Load(); p != nil && p.Status == s {
		return p
	}
	p := newPicture(s)
	g.latest.Store(p)
	return p
}

func newPicture(s *engine.Status) *picture {
	m := parseModes(s.SettingsDoc)
	m.pause = s.Settings.Pause
	return &picture{Status: s, modes: m}
}

// statusJSON is the node status, encoded once for each picture.
func (p *picture) statusJSON() ([]byte, error) {
	p.once.Do(func() {
		n := nodeStatus(p)
		b, err := encode(&n)
		p.status, p.err = spaced(b), err
	})
	return p.status, p.err
}

// state is PostgreSQL's state in Patroni's words; a server that should run and does not answer is unknown.
func (p *picture) state() string {
	if p.PostgresState == stateRunning && !p.Postgres.Answering {
		return stateUnknown
	}
	return p.PostgresState
}

// role is what the server itself says while it answers, else what the agent last made of it.
func (p *picture) role() string {
	switch {
	case !p.Postgres.Answering:
		return p.Role
	case !p.Postgres.Server.InRecovery:
		return rolePrimary
	case p.Role == roleStandby:
		return roleStandby
	}
	return roleReplica
}

// accepting tells that PostgreSQL answers and is out of recovery (H1).
func (p *picture) accepting() bool {
	return p.state() == stateRunning && !p.Postgres.Server.InRecovery
}

func (p *picture) syncStandby() bool {
	return p.modes.sync && !p.modes.quorum && p.listedInSync()
}

func (p *picture) quorumStandby() bool { return p.modes.quorum && p.listedInSync() }

func (p *picture) listedInSync() bool {
	return p.Postgres.Answering && p.Postgres.Server.InRecovery && inSync(&p.View.Sync, p.Member.Name)
}

// optime is the newest position of the leader that the member knows of.
func (p *picture) optime() events.LSN {
	var seen events.LSN
	if p.DCSReachable {
		seen = p.View.Status.Optime
	}
	if p.Postgres.Answering {
		seen = max(seen, p.Postgres.Server.LatestEndLSN)
	}
	return seen
}

func (p *picture) systemID() string {
	if p.View.Initialized() {
		return *p.View.Initialize
	}
	return p.Postgres.Control.SystemID
}

func (p *picture) watchdogFailed() bool {
	return p.Member.GuardPolicy == "required" && !p.Guard.Alive
}
