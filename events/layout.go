package events

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// The keys of a cluster's directory in the DCS, relative to it. They are Patroni's, so that its
// tools and its members read them.
const (
	KeyInitialize   = "initialize"
	KeyConfig       = "config"
	KeyLeader       = "leader"
	KeyMembers      = "members/"
	KeyStatus       = "status"
	KeyOptimeLeader = "optime/leader" // legacy: only read
	KeyHistory      = "history"
	KeySync         = "sync"
	KeyFailover     = "failover"
	KeyFailsafe     = "failsafe"
)

// Tags are a member's tags, as published. Extra holds those without meaning to regent.
type Tags struct {
	NoFailover       bool   `json:"nofailover,omitempty"`
	FailoverPriority *int   `json:"failover_priority,omitempty"`
	NoSync           bool   `json:"nosync,omitempty"`
	SyncPriority     *int   `json:"sync_priority,omitempty"`
	NoLoadBalance    bool   `json:"noloadbalance,omitempty"`
	CloneFrom        bool   `json:"clonefrom,omitempty"`
	ReplicateFrom    string `json:"replicatefrom,omitempty"`
	NoStream         bool   `json:"nostream,omitempty"`
	// Extra are all other tags, by name; scalars only.
	Extra map[string]any `json:"-"`
}

// MayLead tells whether the tags allow the member to become leader.
func (t *Tags) MayLead() bool {
	return !t.NoFailover && (t.FailoverPriority == nil || *t.FailoverPriority > 0)
}

// Priority is the failover priority: larger is preferred among equal positions, 1 by default.
func (t *Tags) Priority() int {
	if t.FailoverPriority == nil {
		return 1
	}
	return *t.FailoverPriority
}

// None tells that no tag is set.
func (t *Tags) None() bool {
	return !t.NoFailover && t.FailoverPriority == nil && !t.NoSync && t.SyncPriority == nil && !t.NoLoadBalance && !t.CloneFrom &&
		t.ReplicateFrom == "" && !t.NoStream && len(t.Extra) == 0
}

type plainTags Tags

var knownTags = []string{"nofailover", "failover_priority", "nosync", "sync_priority", "noloadbalance", "clonefrom", "replicatefrom", "nostream"}

// MarshalJSON writes the known tags that are set, and all others.
func (t Tags) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(plainTags(t))
	if err != nil || len(t.Extra) == 0 {
		return b, err
	}
	all := map[string]any{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for k, v := range t.Extra {
		all[k] = v
	}
	return json.Marshal(all)
}

// UnmarshalJSON reads tags as others write them: booleans also as on/off, priorities also as text. A
// known tag that still cannot be read is kept in Extra.
func (t *Tags) UnmarshalJSON(b []byte) error {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("read tags: want an object: %w", err)
	}
	*t = Tags{}
	for _, k := range knownTags {
		v, ok := all[k]
		if !ok {
			continue
		}
		for _, form := range append([]json.RawMessage{v}, plainForms(v)...) {
			if t.readKnown(k, form) {
				delete(all, k)
				break
			}
		}
	}
	for k, v := range all {
		var x any
		if err := json.Unmarshal(v, &x); err != nil {
			return fmt.Errorf("read tag %q: %w", k, err)
		}
		if t.Extra == nil {
			t.Extra = map[string]any{}
		}
		t.Extra[k] = x
	}
	return nil
}

func (t *Tags) readKnown(name string, v json.RawMessage) bool {
	one, err := json.Marshal(map[string]json.RawMessage{name: v})
	if err != nil {
		return false
	}
	c := *t
	if json.Unmarshal(one, (*plainTags)(&c)) != nil {
		return false
	}
	*t = c
	return true
}

// plainForms are the JSON values that a scalar may stand for when its writer had no booleans or numbers.
func plainForms(v json.RawMessage) (forms []json.RawMessage) {
	var x any
	if json.Unmarshal(v, &x) != nil {
		return nil
	}
	if b, ok := ParseBool(x); ok {
		forms = append(forms, json.RawMessage(strconv.FormatBool(b)))
	}
	if text, ok := x.(string); ok {
		if n, err := strconv.Atoi(text); err == nil {
			forms = append(forms, json.RawMessage(strconv.Itoa(n)))
		}
	}
	return forms
}

// MemberRecord is the value of members/<name>.
type MemberRecord struct {
	Name     string `json:"-"` // from the key
	Revision uint64 `json:"-"`

	ConnURL              string            `json:"conn_url,omitempty"`
	APIURL               string            `json:"api_url,omitempty"`
	State                string            `json:"state,omitempty"`
	Role                 string            `json:"role,omitempty"`
	Version              string            `json:"version,omitempty"`
	ProxyURL             string            `json:"proxy_url,omitempty"`
	CheckpointAfterPromo *bool             `json:"checkpoint_after_promote,omitempty"`
	Tags                 *Tags             `json:"tags,omitempty"`
	PendingRestart       bool              `json:"pending_restart,omitempty"`
	PendingRestartReason map[string]OldNew `json:"pending_restart_reason,omitempty"`
	XlogLocation         LSN               `json:"xlog_location,omitempty"`
	ReceiveLSN           LSN               `json:"receive_lsn,omitempty"`
	ReplayLSN            LSN               `json:"replay_lsn,omitempty"`
	ReplicationState     string            `json:"replication_state,omitempty"`
	Timeline             Timeline          `json:"timeline,omitempty"`
	ScheduledRestart     *ScheduledRestart `json:"scheduled_restart,omitempty"`
	Pause                bool              `json:"pause,omitempty"`
}

// OldNew is a changed parameter that waits for a restart.
type OldNew struct {
	Old any `json:"old_value"`
	New any `json:"new_value"`
}

// ScheduledRestart is a restart that is to happen later.
type ScheduledRestart struct {
	Schedule            string `json:"schedule"`
	PostmasterStartTime string `json:"postmaster_start_time,omitempty"`
	Role                string `json:"role,omitempty"`
	PostgresVersion     string `json:"postgres_version,omitempty"`
	RestartPending      bool   `json:"restart_pending,omitempty"`
	Timeout             int    `json:"timeout,omitempty"`
}

// EffectiveTags are the member's tags, empty ones if it published none.
func (m *MemberRecord) EffectiveTags() Tags {
	if m.Tags == nil {
		return Tags{}
	}
	return *m.Tags
}

// HostPort splits the member's conn_url; port is 5432 when it names none.
func (m *MemberRecord) HostPort() (host string, port int) {
	u, err := url.Parse(m.ConnURL)
	if err != nil {
		return "", 0
	}
	port, err = strconv.Atoi(u.Port())
	if err != nil {
		port = 5432
	}
	return u.Hostname(), port
}

// StatusRecord is the value of status: the leader's position and its slots.
type StatusRecord struct {
	Optime      LSN            `json:"optime"`
	Slots       map[string]LSN `json:"slots,omitempty"`
	RetainSlots []string       `json:"retain_slots,omitempty"`
}

// FailoverRecord is the value of failover: a pending switchover (Leader set) or failover.
type FailoverRecord struct {
	Leader      string `json:"leader,omitempty"`
	Candidate   string `json:"member,omitempty"`
	ScheduledAt string `json:"scheduled_at,omitempty"`
	Revision    uint64 `json:"-"`
}

// Pending tells that the record asks for something.
func (f *FailoverRecord) Pending() bool { return f.Leader != "" || f.Candidate != "" }

// SyncRecord is the value of sync.
type SyncRecord struct {
	Leader      string `json:"leader"`
	Quorum      *int   `json:"quorum,omitempty"`
	SyncStandby string `json:"sync_standby"`
}

// HistoryRow is one row of history: a timeline that ended, where, why, when and who came next.
type HistoryRow struct {
	Timeline  Timeline
	LSN       LSN
	Reason    string
	Timestamp string
	NewLeader string
}

// MarshalJSON writes the row as the array that Patroni's tools expect.
func (r HistoryRow) MarshalJSON() ([]byte, error) {
	row := []any{r.Timeline, r.LSN, r.Reason}
	if r.Timestamp != "" || r.NewLeader != "" {
		row = append(row, r.Timestamp)
	}
	if r.NewLeader != "" {
		row = append(row, r.NewLeader)
	}
	return json.Marshal(row)
}

// UnmarshalJSON reads rows of three, four or five elements.
func (r *HistoryRow) UnmarshalJSON(b []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return fmt.Errorf("read history row: want an array: %w", err)
	}
	if len(raw) < 3 || len(raw) > 5 {
		return fmt.Errorf("read history row: want 3 to 5 elements, not %d", len(raw))
	}
	into := []any{&r.Timeline, &r.LSN, &r.Reason, &r.Timestamp, &r.NewLeader}
	for i, v := range raw {
		if err := json.Unmarshal(v, into[i]); err != nil {
			return fmt.Errorf("read history row, element %d: %w", i+1, err)
		}
	}
	return nil
}
