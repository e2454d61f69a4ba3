package httpapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/regent-ha/regent/events"
)

// Cluster is the body of GET /cluster, and what the command line lists.
type Cluster struct {
	Members             []ClusterMember      `json:"members"`
	Pause               bool                 `json:"pause,omitempty"`
	ScheduledSwitchover *ScheduledSwitchover `json:"scheduled_switchover,omitempty"`
	Scope               string               `json:"scope"`
}

// ClusterMember is a member as the DCS knows it. The leader has no lags.
type ClusterMember struct {
	Name             string                   `json:"name"`
	Role             string                   `json:"role"` // leader, standby_leader, sync_standby, quorum_standby, replica
	State            string                   `json:"state"`
	APIURL           string                   `json:"api_url"`
	Host             string                   `json:"host,omitempty"`
	Port             int                      `json:"port,omitempty"`
	Timeline         events.Timeline          `json:"timeline,omitempty"`
	PendingRestart   bool                     `json:"pending_restart,omitempty"`
	PendingReason    map[string]events.OldNew `json:"pending_restart_reason,omitempty"`
	ScheduledRestart *events.ScheduledRestart `json:"scheduled_restart,omitempty"`
	Tags             *events.Tags             `json:"tags,omitempty"`
	ReceiveLSN       *ShownLSN                `json:"receive_lsn,omitempty"`
	ReceiveLag       *ShownLag                `json:"receive_lag,omitempty"`
	ReplayLSN        *ShownLSN                `json:"replay_lsn,omitempty"`
	ReplayLag        *ShownLag                `json:"replay_lag,omitempty"`
	LSN              *ShownLSN                `json:"lsn,omitempty"`
	Lag              *ShownLag                `json:"lag,omitempty"`
}

// ScheduledSwitchover is a switchover that is to happen later.
type ScheduledSwitchover struct {
	At   string `json:"at"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

const unknownText = "unknown"

// ShownLSN is a position as text, "unknown" for zero.
type ShownLSN events.LSN

// String renders the position, or unknown.
func (l ShownLSN) String() string {
	if l == 0 {
		return unknownText
	}
	return events.LSN(l).String()
}

// MarshalJSON writes the text.
func (l ShownLSN) MarshalJSON() ([]byte, error) { return json.Marshal(l.String()) }

// UnmarshalJSON reads the text.
func (l *ShownLSN) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("read LSN: %w", err)
	}
	if s == unknownText || s == "" {
		*l = 0
		return nil
	}
	at, err := events.ParseLSN(s)
	*l = ShownLSN(at)
	return err
}

// ShownLag is a distance in bytes, or unknown.
type ShownLag struct {
	Known bool
	Bytes uint64
}

// String renders the bytes, or unknown.
func (l ShownLag) String() string {
	if !l.Known {
		return unknownText
	}
	return strconv.FormatUint(l.Bytes, 10)
}

// MarshalJSON writes a number, or "unknown".
func (l ShownLag) MarshalJSON() ([]byte, error) {
	if !l.Known {
		return json.Marshal(unknownText)
	}
	return json.Marshal(l.Bytes)
}

// UnmarshalJSON reads a number; any text is unknown.
func (l *ShownLag) UnmarshalJSON(b []byte) error {
	*l = ShownLag{}
	var s string
	if json.Unmarshal(b, &s) == nil {
		return nil
	}
	if err := json.Unmarshal(b, &l.Bytes); err != nil {
		return fmt.Errorf("read lag: %w", err)
	}
	l.Known = true
	return nil
}

// ClusterJSON says of a cluster what its keys say of it, in Patroni's shape.
func ClusterJSON(view *events.View, scope string) Cluster {
	m := parseModes(view.Config)
	c := Cluster{Members: make([]ClusterMember, 0, len(view.Members)), Pause: m.pause, Scope: scope}
	for i := range view.Members {
		c.Members = append(c.Members, clusterMember(view, &view.Members[i], m))
	}
	if f := &view.Failover; f.ScheduledAt != "" {
		c.ScheduledSwitchover = &ScheduledSwitchover{f.ScheduledAt, f.Leader, f.Candidate}
	}
	return c
}

func clusterMember(view *events.View, r *events.MemberRecord, m modes) ClusterMember {
	out := ClusterMember{
		Name: r.Name, Role: clusterRole(view, r.Name, m), State: r.State, APIURL: r.APIURL,
		Timeline: r.Timeline, PendingRestart: r.PendingRestart, PendingReason: r.PendingRestartReason,
		ScheduledRestart: shownRestart(r.ScheduledRestart), Tags: r.Tags,
	}
	if u, err := url.Parse(r.ConnURL); err == nil {
		out.Host = u.Hostname()
		if port, err := strconv.Atoi(u.Port()); err == nil {
			out.Port = port
		}
	}
	if r.Name == view.Leader {
		return out
	}
	if r.ReplicationState != "" {
		out.State = r.ReplicationState
	}
	out.ReceiveLSN, out.ReceiveLag = shownPosition(view.Status.Optime, r.ReceiveLSN)
	out.ReplayLSN, out.ReplayLag = shownPosition(view.Status.Optime, r.ReplayLSN)
	out.LSN, out.Lag = shownPosition(view.Status.Optime, r.XlogLocation)
	return out
}

func clusterRole(view *events.View, name string, m modes) string {
	switch {
	case name == view.Leader && m.standby:
		return roleStandby
	case name == view.Leader:
		return "leader"
	case m.quorum && inSync(&view.Sync, name):
		return "quorum_standby"
	case m.sync && inSync(&view.Sync, name):
		return "sync_standby"
	}
	return roleReplica
}

func shownPosition(optime, at events.LSN) (*ShownLSN, *ShownLag) {
	lsn, lag := ShownLSN(at), ShownLag{Known: at != 0}
	if at != 0 && optime > at {
		lag.Bytes = uint64(optime - at)
	}
	return &lsn, &lag
}
