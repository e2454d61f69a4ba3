package events

import (
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
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

// UnmarshalJSON reads tags as others write them; a known tag of a wrong type is kept in Extra.
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
		if one, err := json.Marshal(map[string]json.RawMessage{k: v}); err == nil && json.Unmarshal(one, (*plainTags)(t)) == nil {
			delete(all, k)
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

// View is what the DCS holds of a cluster, in regent's words. It is the fold of a snapshot and the
// changes after it. Contents that cannot be read are listed in Problems and otherwise left out.
type View struct {
	Revision       uint64
	Term           uint64
	Initialize     *string // nil: no key; empty: somebody is bootstrapping; else the system identifier
	Leader         string  // empty: nobody holds the lease
	LeaderRevision uint64
	Config         json.RawMessage // the dynamic configuration, nil without key
	ConfigRevision uint64
	Members        []MemberRecord // sorted by name
	Status         StatusRecord
	History        []HistoryRow
	HasHistory     bool
	Failover       FailoverRecord
	Sync           SyncRecord
	SyncRevision   uint64
	Failsafe       map[string]string
	Problems       []Problem // sorted by key
}

// Problem is a key whose content could not be read.
type Problem struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

// ParseView reads a snapshot.
func ParseView(s DCSSnapshot) View {
	v := View{Revision: s.Revision, Term: s.Term}
	for _, kv := range s.Keys {
		v.Apply(DCSChange{KeyValue: kv})
	}
	v.Revision = max(v.Revision, s.Revision)
	return v
}

// Member finds a member by name, nil if there is none.
func (v *View) Member(name string) *MemberRecord {
	i := sort.Search(len(v.Members), func(i int) bool { return v.Members[i].Name >= name })
	if i < len(v.Members) && v.Members[i].Name == name {
		return &v.Members[i]
	}
	return nil
}

// Initialized tells that a system identifier is written.
func (v *View) Initialized() bool { return v.Initialize != nil && *v.Initialize != "" }

// ClusterTimeline is the timeline after the last one in history; 1 for an empty history, 0 if unknown.
func (v *View) ClusterTimeline() Timeline {
	if !v.HasHistory {
		return 0
	}
	if n := len(v.History); n > 0 {
		return v.History[n-1].Timeline + 1
	}
	return 1
}

// Apply folds one change into the view.
func (v *View) Apply(c DCSChange) {
	v.Revision = max(v.Revision, c.Revision)
	v.forgetProblem(c.Key)
	if err := v.apply(c); err != nil {
		v.Problems = append(v.Problems, Problem{c.Key, err.Error()})
		sort.Slice(v.Problems, func(i, j int) bool { return v.Problems[i].Key < v.Problems[j].Key })
	}
}

func (v *View) forgetProblem(key string) {
	for i := range v.Problems {
		if v.Problems[i].Key == key {
			v.Problems = append(v.Problems[:i], v.Problems[i+1:]...)
			return
		}
	}
}

func (v *View) apply(c DCSChange) error {
	if name, ok := strings.CutPrefix(c.Key, KeyMembers); ok {
		return v.applyMember(name, c)
	}
	if c.Deleted {
		c.Value = ""
	}
	switch c.Key {
	case KeyInitialize:
		v.Initialize = &c.Value
		if c.Deleted {
			v.Initialize = nil
		}
	case KeyLeader:
		v.Leader, v.LeaderRevision = strings.TrimSpace(c.Value), c.Revision
	case KeyConfig:
		v.Config, v.ConfigRevision = nil, c.Revision
		if c.Deleted {
			return nil
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c.Value), &doc); err != nil {
			return fmt.Errorf("want a JSON object: %w", err)
		}
		v.Config = json.RawMessage(c.Value)
	case KeyStatus:
		return v.applyStatus(c)
	case KeyOptimeLeader:
		if n, err := strconv.ParseUint(c.Value, 10, 64); err == nil && v.Status.Optime == 0 {
			v.Status.Optime = LSN(n)
		}
	case KeyHistory:
		v.History, v.HasHistory = nil, false
		if c.Deleted {
			return nil
		}
		if err := json.Unmarshal([]byte(c.Value), &v.History); err != nil {
			return err
		}
		v.HasHistory = true
	case KeyFailover:
		return v.applyFailover(c)
	case KeySync:
		v.Sync, v.SyncRevision = SyncRecord{}, c.Revision
		if c.Value == "" {
			return nil
		}
		return json.Unmarshal([]byte(c.Value), &v.Sync)
	case KeyFailsafe:
		v.Failsafe = nil
		if c.Value == "" {
			return nil
		}
		return json.Unmarshal([]byte(c.Value), &v.Failsafe)
	}
	return nil
}

func (v *View) applyStatus(c DCSChange) error {
	v.Status = StatusRecord{}
	if c.Value == "" {
		return nil
	}
	if n, err := strconv.ParseUint(c.Value, 10, 64); err == nil {
		v.Status.Optime = LSN(n)
		return nil
	}
	if err := json.Unmarshal([]byte(c.Value), &v.Status); err != nil {
		v.Status = StatusRecord{}
		return err
	}
	return nil
}

func (v *View) applyFailover(c DCSChange) error {
	v.Failover = FailoverRecord{Revision: c.Revision}
	if c.Value == "" || c.Value == "{}" {
		return nil
	}
	if !strings.HasPrefix(strings.TrimSpace(c.Value), "{") { // legacy text leader:candidate
		from, to, ok := strings.Cut(c.Value, ":")
		if !ok {
			return fmt.Errorf("want an object, not %q", c.Value)
		}
		v.Failover.Leader, v.Failover.Candidate = strings.TrimSpace(from), strings.TrimSpace(to)
		return nil
	}
	if err := json.Unmarshal([]byte(c.Value), &v.Failover); err != nil {
		v.Failover = FailoverRecord{Revision: c.Revision}
		return err
	}
	return nil
}

func (v *View) applyMember(name string, c DCSChange) error {
	i := sort.Search(len(v.Members), func(i int) bool { return v.Members[i].Name >= name })
	found := i < len(v.Members) && v.Members[i].Name == name
	if c.Deleted {
		if found {
			v.Members = append(v.Members[:i], v.Members[i+1:]...)
		}
		return nil
	}
	m := MemberRecord{}
	err := readMember(c.Value, &m)
	m.Name, m.Revision = name, c.Revision
	if found {
		v.Members[i] = m
	} else {
		v.Members = append(v.Members, MemberRecord{})
		copy(v.Members[i+1:], v.Members[i:])
		v.Members[i] = m
	}
	return err
}

// readMember reads a member's record; a text that starts with postgres is the legacy form, a DSN whose
// application_name argument is the API's address.
func readMember(text string, m *MemberRecord) error {
	if strings.HasPrefix(text, "postgres") {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("want an object or a postgres URL: %w", err)
		}
		m.APIURL = u.Query().Get("application_name")
		u.RawQuery, u.User = "", nil
		m.ConnURL = u.String()
		return nil
	}
	if err := json.Unmarshal([]byte(text), m); err != nil {
		*m = MemberRecord{}
		return err
	}
	return nil
}
