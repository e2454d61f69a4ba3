package httpapi

import (
	"encoding/json"

	"github.com/regent-ha/regent/events"
)

// NodeStatus is the body of GET /patroni and of every health check.
type NodeStatus struct {
	State               string                   `json:"state"`
	PostmasterStartTime string                   `json:"postmaster_start_time,omitempty"`
	Role                string                   `json:"role"`
	ServerVersion       int                      `json:"server_version,omitempty"`
	Xlog                *Xlog                    `json:"xlog,omitempty"`
	SyncStandby         bool                     `json:"sync_standby,omitempty"`
	QuorumStandby       bool                     `json:"quorum_standby,omitempty"`
	Timeline            *NullTimeline            `json:"timeline,omitempty"`
	ReplicationState    string                   `json:"replication_state,omitempty"`
	Replication         []Replication            `json:"replication,omitempty"`
	Pause               bool                     `json:"pause,omitempty"`
	ClusterUnlocked     bool                     `json:"cluster_unlocked,omitempty"`
	DCSLastSeen         int64                    `json:"dcs_last_seen"`
	Tags                json.RawMessage          `json:"tags,omitempty"`
	SystemID            string                   `json:"database_system_identifier,omitempty"`
	PendingRestart      bool                     `json:"pending_restart,omitempty"`
	PendingReason       map[string]events.OldNew `json:"pending_restart_reason,omitempty"`
	Patroni             Identity                 `json:"patroni"`
	Regent              *Build                   `json:"regent,omitempty"`
	ScheduledRestart    *events.ScheduledRestart `json:"scheduled_restart,omitempty"`
	WatchdogFailed      bool                     `json:"watchdog_failed,omitempty"`
}

// Xlog are positions in the WAL: Location on a primary, the others on a replica.
type Xlog struct {
	Location          *events.LSN `json:"location,omitempty"`
	ReceivedLocation  *events.LSN `json:"received_location,omitempty"`
	ReplayedLocation  *events.LSN `json:"replayed_location,omitempty"`
	ReplayedTimestamp *NullString `json:"replayed_timestamp,omitempty"`
	Paused            *bool       `json:"paused,omitempty"`
}

// Replication is a row of pg_stat_replication as the status shows it.
type Replication struct {
	User            string     `json:"usename"`
	ApplicationName string     `json:"application_name"`
	ClientAddr      NullString `json:"client_addr"`
	State           string     `json:"state"`
	SyncState       string     `json:"sync_state"`
	SyncPriority    int        `json:"sync_priority"`
}

// Identity tells whose status it is.
type Identity struct {
	Version string `json:"version"` // of the Patroni that the answer is compatible with
	Scope   string `json:"scope"`
	Name    string `json:"name"`
}

// Build tells that the member runs regent, and which.
type Build struct {
	Version string `json:"version"`
}

// NullTimeline is a timeline that is written as null while it is unknown.
type NullTimeline events.Timeline

// MarshalJSON writes null for an unknown timeline.
func (t NullTimeline) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(uint32(t))
}

// NullString is a text that is written as null while it is empty.
type NullString string

// MarshalJSON writes null for an empty text.
func (s NullString) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return encode(string(s))
}

// nodeStatus says of a member what its status says of it, in Patroni's shape.
func nodeStatus(p *picture) NodeStatus {
	n := NodeStatus{
		State: p.state(), Role: p.role(),
		SyncStandby: p.syncStandby(), QuorumStandby: p.quorumStandby(),
		Pause:            p.modes.pause,
		ClusterUnlocked:  !p.DCSReachable || p.View.Leader == "",
		DCSLastSeen:      p.DCSLastSeen / 1e9,
		SystemID:         p.systemID(),
		Patroni:          Identity{CompatVersion, p.Member.Scope, p.Member.Name},
		Regent:           &Build{p.Version},
		ScheduledRestart: shownRestart(p.ScheduledRestart),
		WatchdogFailed:   p.watchdogFailed(),
	}
	if tags, err := json.Marshal(p.Member.Tags); err == nil && string(tags) != "{}" {
		n.Tags = tags
	}
	if p.Postgres.Answering {
		n.addServer(&p.Postgres.Server)
	}
	return n
}

func (n *NodeStatus) addServer(s *events.Server) {
	n.PostmasterStartTime = sqlTime(s.StartedAt)
	n.ServerVersion = s.Version
	timeline := NullTimeline(s.Timeline)
	n.Timeline = &timeline
	if s.InRecovery {
		received, replayed, paused := s.ReceivedLSN, s.ReplayedLSN, s.ReplayPaused
		if received == 0 {
			received = replayed
		}
		at := NullString(sqlTime(s.ReplayedAt))
		n.Xlog = &Xlog{ReceivedLocation: &received, ReplayedLocation: &replayed, ReplayedTimestamp: &at, Paused: &paused}
		n.ReplicationState = s.ReplicationState
	} else {
		at := s.FlushLSN
		n.Xlog = &Xlog{Location: &at}
	}
	for _, w := range s.Walsenders {
		n.Replication = append(n.Replication, Replication{
			w.User, w.ApplicationName, NullString(w.ClientAddr), w.State, w.SyncState, w.SyncPriority,
		})
	}
	for _, c := range s.PendingRestart {
		if n.PendingReason == nil {
			n.PendingRestart, n.PendingReason = true, map[string]events.OldNew{}
		}
		n.PendingReason[c.Name] = events.OldNew{Old: c.Old, New: c.New}
	}
}

// shownRestart leaves out what only the member itself needs.
func shownRestart(r *events.ScheduledRestart) *events.ScheduledRestart {
	if r == nil {
		return nil
	}
	shown := *r
	shown.PostmasterStartTime = ""
	return &shown
}
