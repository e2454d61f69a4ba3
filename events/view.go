package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// View is what the DCS holds of a cluster, in regent's words. It is the fold of a snapshot and the
// changes after it. Contents that cannot be read are listed in Problems and otherwise left out.
type View struct {
	Revision   uint64
	Term       uint64
	Initialize *string // nil: no key; empty: somebody is bootstrapping; else the system identifier
	// InitializeRevision is the key's revision, zero without it.
	InitializeRevision uint64
	Leader             string // empty: nobody holds the lease
	LeaderRevision     uint64
	Config             json.RawMessage // the dynamic configuration, nil without key
	ConfigRevision     uint64
	Members            []MemberRecord // sorted by name
	Status             StatusRecord
	History            []HistoryRow
	HasHistory         bool
	Failover           FailoverRecord
	Sync               SyncRecord
	SyncRevision       uint64
	Failsafe           map[string]string
	Problems           []Problem // sorted by key

	// statusOptime and legacyOptime are the positions told by status and by optime/leader: the former wins.
	statusOptime, legacyOptime LSN
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
	for i := range v.Members { // they are few
		if v.Members[i].Name == name {
			return &v.Members[i]
		}
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

// Apply folds one change into the view. It never writes into memory that an earlier copy of the view refers to.
func (v *View) Apply(c DCSChange) {
	v.Revision = max(v.Revision, c.Revision)
	v.forgetProblem(c.Key)
	if err := v.apply(c); err != nil {
		v.Problems = append(v.Problems, Problem{c.Key, err.Error()})
		sort.Slice(v.Problems, func(i, j int) bool { return v.Problems[i].Key < v.Problems[j].Key })
	}
}

func (v *View) forgetProblem(key string) {
	i := slices.IndexFunc(v.Problems, func(p Problem) bool { return p.Key == key })
	if i < 0 {
		v.Problems = slices.Clone(v.Problems) // a problem may be appended
		return
	}
	v.Problems = slices.Concat(v.Problems[:i], v.Problems[i+1:])
}

func (v *View) apply(c DCSChange) error {
	if name, ok := strings.CutPrefix(c.Key, KeyMembers); ok {
		return v.applyMember(name, c)
	}
	if c.Deleted {
		c.Value, c.Revision = "", 0 // the view must look as if the key had never been there
	}
	switch c.Key {
	case KeyInitialize:
		v.Initialize, v.InitializeRevision = nil, c.Revision
		if id := c.Value; !c.Deleted {
			v.Initialize = &id
		}
	case KeyLeader:
		v.Leader, v.LeaderRevision = strings.TrimSpace(c.Value), c.Revision
	case KeyConfig:
		return v.applyConfig(c)
	case KeyStatus, KeyOptimeLeader:
		return v.applyStatus(c)
	case KeyHistory:
		v.History, v.HasHistory = nil, false
		if c.Deleted {
			return nil
		}
		rows, ok := readPlainHistory(c.Value)
		if !ok {
			var err error
			if rows, err = decode[[]HistoryRow]([]byte(c.Value)); err != nil {
				return err
			}
		}
		v.History, v.HasHistory = rows, true
	case KeyFailover:
		return v.applyFailover(c)
	case KeySync:
		v.SyncRevision = c.Revision
		return readOrZero(c.Value, &v.Sync)
	case KeyFailsafe:
		return readOrZero(c.Value, &v.Failsafe)
	}
	return nil
}

// readOrZero reads a value into a fresh T: what cannot be read, or is empty, leaves nothing behind.
func readOrZero[T any](text string, into *T) error {
	var zero T
	*into = zero
	if text == "" {
		return nil
	}
	t, err := decode[T]([]byte(text))
	if err == nil {
		*into = t
	}
	return err
}

func (v *View) applyConfig(c DCSChange) error {
	v.Config, v.ConfigRevision = nil, c.Revision
	if c.Deleted {
		return nil
	}
	doc, err := decode[map[string]json.RawMessage]([]byte(c.Value))
	if err != nil {
		return fmt.Errorf("want a JSON object: %w", err)
	}
	if doc == nil {
		return errors.New("want a JSON object, not null")
	}
	v.Config = json.RawMessage(c.Value)
	return nil
}

func (v *View) applyStatus(c DCSChange) error {
	if c.Key == KeyOptimeLeader {
		n, err := strconv.ParseUint(strings.TrimSpace(c.Value), 10, 64)
		if c.Value != "" && err != nil {
			err = fmt.Errorf("want a log position in bytes: %w", err)
		} else {
			err = nil
		}
		v.legacyOptime = LSN(n)
		v.Status.Optime = v.statusOptime
		if v.statusOptime == 0 {
			v.Status.Optime = v.legacyOptime
		}
		return err
	}
	var err error
	if r, ok := readPlainStatus(c.Value); ok {
		v.Status = r
	} else if n, e := strconv.ParseUint(c.Value, 10, 64); e == nil {
		v.Status = StatusRecord{Optime: LSN(n)}
	} else {
		err = readOrZero(c.Value, &v.Status)
	}
	v.statusOptime = v.Status.Optime
	if v.statusOptime == 0 {
		v.Status.Optime = v.legacyOptime
	}
	return err
}

func (v *View) applyFailover(c DCSChange) error {
	text := strings.TrimSpace(c.Value)
	v.Failover = FailoverRecord{}
	if text != "" && !strings.HasPrefix(text, "{") { // legacy text leader:candidate
		from, to, ok := strings.Cut(text, ":")
		if !ok {
			v.Failover.Revision = c.Revision
			return fmt.Errorf("want an object, not %q", text)
		}
		v.Failover.Leader, v.Failover.Candidate = strings.TrimSpace(from), strings.TrimSpace(to)
		v.Failover.Revision = c.Revision
		return nil
	}
	err := readOrZero(text, &v.Failover)
	v.Failover.Revision = c.Revision
	return err
}

func (v *View) applyMember(name string, c DCSChange) error {
	i := sort.Search(len(v.Members), func(i int) bool { return v.Members[i].Name >= name })
	found := i < len(v.Members) && v.Members[i].Name == name
	if c.Deleted {
		if found {
			v.Members = slices.Concat(v.Members[:i], v.Members[i+1:])
		}
		return nil
	}
	m, err := readMember(c.Value)
	m.Name, m.Revision = name, c.Revision
	if found {
		v.Members = slices.Clone(v.Members)
		v.Members[i] = m
	} else {
		v.Members = slices.Concat(v.Members[:i], []MemberRecord{m}, v.Members[i:])
	}
	return err
}

// readMember reads a member's record; a text that starts with postgres is the legacy form, a DSN whose
// application_name argument is the API's address.
func readMember(text string) (MemberRecord, error) {
	if m, ok := readPlainMember(text); ok {
		return m, nil
	}
	if strings.HasPrefix(text, "postgres") {
		u, err := url.Parse(text)
		if err != nil {
			return MemberRecord{}, fmt.Errorf("want an object or a postgres URL: %w", err)
		}
		api := u.Query().Get("application_name")
		u.RawQuery, u.User = "", nil
		return MemberRecord{ConnURL: u.String(), APIURL: api}, nil
	}
	m, err := decode[MemberRecord]([]byte(text))
	if err != nil {
		return MemberRecord{}, err
	}
	return m, nil
}
