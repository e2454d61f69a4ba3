package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// ListOptions are those of list and topology.
type ListOptions struct {
	Format    Format
	Extended  bool
	Timestamp bool
	Watch     time.Duration // zero: once
}

// List prints the members, again and again with Watch until ctx ends.
func (s *Session) List(ctx context.Context, o ListOptions) error {
	for {
		c, err := s.cluster(ctx)
		if err != nil {
			return err
		}
		if o.Watch > 0 && (o.Format == Pretty || o.Format == Topology) {
			s.print("\x1b[H\x1b[2J" + s.Now().Format("2006-01-02 15:04:05"))
		}
		if o.Timestamp {
			s.print(s.Now().Format("2006-01-02 15:04:05"))
		}
		if err := s.printCluster(c, o.Format, o.Extended); err != nil {
			return err
		}
		if o.Watch <= 0 {
			return nil
		}
		if err := s.Sleep(ctx, o.Watch); err != nil {
			return nil // the person has seen enough
		}
	}
}

// printCluster prints the table of members, and below it the state of the cluster.
func (s *Session) printCluster(c *Cluster, f Format, extended bool) error {
	t, err := memberTable(c, f, extended)
	if err != nil {
		return err
	}
	out, err := t.render(f, true)
	if err != nil {
		return err
	}
	s.print(out)
	if f != Pretty && f != Topology {
		return nil
	}
	if c.Pause {
		s.print(" Maintenance mode: on")
	}
	if sw := c.ScheduledSwitchover; sw != nil {
		s.print(" Switchover scheduled at: " + sw.At)
		for _, end := range []struct{ word, name string }{{"from", sw.From}, {"to", sw.To}} {
			if end.name != "" {
				s.printf("%24s: %s", end.word, end.name)
			}
		}
	}
	return nil
}

func clusterHeader(c *Cluster) string {
	state := "(uninitialized)"
	if c.SystemID != nil {
		if state = "(initializing)"; *c.SystemID != "" {
			state = "(" + *c.SystemID + ")"
		}
	}
	return fmt.Sprintf(" Cluster: %s %s ", c.Scope, state)
}

// optional are the columns that appear when asked for, or when a member has something to say there.
var optionalColumns = []string{"Pending restart", "Pending restart reason", "Scheduled restart", "Tags"}

func memberTable(c *Cluster, f Format, extended bool) (*table, error) {
	boxed := f == Pretty || f == Topology
	t := &table{header: clusterHeader(c)}
	receive, replay := "Receive Lag", "Replay Lag"
	if boxed {
		receive, replay = "Lag", "Lag"
	} else {
		t.columns = append(t.columns, column{"Cluster", false})
	}
	t.columns = append(t.columns, column{"Member", false}, column{"Host", false}, column{"Role", false}, column{"State", false},
		column{"TL", true}, column{"Receive LSN", true}, column{receive, true}, column{"Replay LSN", true}, column{replay, true})
	extra, err := extraCells(c, f)
	if err != nil {
		return nil, err
	}
	var shown []int
	for i, title := range optionalColumns {
		used := extended
		for j := range c.Members {
			used = used || c.Members[j].Host != "" && text(extra[c.Members[j].Name][i]) != ""
		}
		if used {
			shown = append(shown, i)
			t.columns = append(t.columns, column{title, false})
		}
	}
	withPort := needsPort(c)
	for _, m := range inOrder(c, f) {
		row := make([]any, 0, len(t.columns))
		if !boxed {
			row = append(row, c.Scope)
		}
		row = append(row, memberCells(m, withPort)...)
		for _, i := range shown {
			row = append(row, extra[m.member.Name][i])
		}
		t.rows = append(t.rows, row)
	}
	return t, nil
}

// listed is a member with the name as it is shown.
type listed struct {
	member *httpapi.ClusterMember
	shown  string
}

func needsPort(c *Cluster) bool {
	hosts := map[string]bool{}
	for _, m := range c.Members {
		if m.Port != 0 && m.Port != 5432 || m.Host != "" && hosts[m.Host] {
			return true
		}
		hosts[m.Host] = true
	}
	return false
}

func memberCells(l listed, withPort bool) []any {
	m := l.member
	host := m.Host
	if withPort && host != "" && m.Port != 0 {
		host = fmt.Sprintf("%s:%d", host, m.Port)
	}
	var timeline any
	if m.Timeline != 0 {
		timeline = uint32(m.Timeline)
	}
	cells := []any{l.shown, host, roleTitle(m.Role), m.State, timeline}
	receive, receiveLag, replay, replayLag := m.ReceiveLSN, m.ReceiveLag, m.ReplayLSN, m.ReplayLag
	if known := m.LSN != nil && *m.LSN != 0; known && empty(receive) && empty(replay) { // a member that publishes one position only
		if m.State == "streaming" {
			receive, receiveLag = m.LSN, m.Lag
		} else {
			replay, replayLag = m.LSN, m.Lag
		}
	}
	return append(cells, lsnCell(receive), lagCell(receiveLag), lsnCell(replay), lagCell(replayLag))
}

func empty(l *httpapi.ShownLSN) bool { return l == nil || *l == 0 }

func lsnCell(l *httpapi.ShownLSN) any {
	if l == nil {
		return nil
	}
	return l.String()
}

// lagCell is the lag in MB, rounded half to even.
func lagCell(l *httpapi.ShownLag) any {
	if l == nil || !l.Known {
		return nil
	}
	return int64(math.RoundToEven(float64(l.Bytes) / (1 << 20)))
}

func roleTitle(role string) string {
	words := strings.Split(role, "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// extraCells are the cells of the optional columns by member.
func extraCells(c *Cluster, f Format) (map[string][]any, error) {
	extra := map[string][]any{}
	for i := range c.Members {
		m := &c.Members[i]
		cells := make([]any, len(optionalColumns))
		if m.PendingRestart {
			cells[0] = "*"
		}
		if reason := pendingReason(m.PendingReason, f); reason != "" {
			cells[1] = reason
		}
		if r := m.ScheduledRestart; r != nil {
			cells[2] = r.Schedule
			if r.PostgresVersion != "" {
				cells[2] = r.Schedule + " if version < " + r.PostgresVersion
			}
		}
		tags, err := tagsCell(m.Tags, f)
		if err != nil {
			return nil, err
		}
		cells[3] = tags
		extra[m.Name] = cells
	}
	return extra, nil
}

func pendingReason(reason map[string]events.OldNew, f Format) string {
	names := make([]string, 0, len(reason))
	for name := range reason {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		line := fmt.Sprintf("%s: %v->%v", name, reason[name].Old, reason[name].New)
		if (f == Pretty || f == Topology) && len(line) > 50 {
			line = name + ": [hidden - too long]"
		}
		names[i] = line
	}
	return strings.Join(names, "\n")
}

func tagsCell(tags *events.Tags, f Format) (any, error) {
	if tags == nil {
		return nil, nil
	}
	b, err := json.Marshal(tags)
	if err != nil {
		return nil, fmt.Errorf("show tags: %w", err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("show tags: %w", err)
	}
	if len(m) == 0 {
		return nil, nil
	}
	switch f {
	case JSON, YAML:
		return m, nil
	case Pretty:
		return blockYAML(m)
	}
	return flowYAML(m)
}

// inOrder lists members by name, or for topology the leader first and everybody below its upstream.
func inOrder(c *Cluster, f Format) []listed {
	var out []listed
	if f != Topology {
		for i := range c.Members {
			out = append(out, listed{&c.Members[i], c.Members[i].Name})
		}
		return out
	}
	leader := c.Leader()
	below := map[string][]*httpapi.ClusterMember{}
	for i := range c.Members {
		m := &c.Members[i]
		if m.Name == leader {
			continue
		}
		upstream := leader
		if m.Tags != nil && m.Tags.ReplicateFrom != m.Name && c.Member(m.Tags.ReplicateFrom) != nil {
			upstream = m.Tags.ReplicateFrom
		}
		below[upstream] = append(below[upstream], m)
	}
	placed := map[string]bool{}
	var place func(upstream string, depth int)
	place = func(upstream string, depth int) {
		for _, m := range below[upstream] {
			if !placed[m.Name] {
				placed[m.Name] = true
				out = append(out, listed{m, strings.Repeat("  ", depth) + "+ " + m.Name})
				place(m.Name, depth+1)
			}
		}
	}
	if leader != "" {
		out = append(out, listed{c.Member(leader), leader})
	}
	place(leader, 0)
	for i := range c.Members { // a circle of upstreams hangs on nobody
		if m := &c.Members[i]; m.Name != leader && !placed[m.Name] {
			placed[m.Name] = true
			out = append(out, listed{m, "+ " + m.Name})
			place(m.Name, 1)
		}
	}
	return out
}
