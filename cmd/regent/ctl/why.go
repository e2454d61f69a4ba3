package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// MemberWhy is what one member says of itself, or that it says nothing.
type MemberWhy struct {
	Name string `json:"name"`
	Role string `json:"role"` // in the DCS
	// Problem says why Status is nil.
	Problem string                `json:"problem,omitempty"`
	Status  *httpapi.RegentStatus `json:"status,omitempty"`
}

// ClusterWhy is what Why prints as JSON.
type ClusterWhy struct {
	Scope   string      `json:"scope"`
	Leader  string      `json:"leader"`
	Members []MemberWhy `json:"members"`
}

const whyTimeout = 3 * time.Second

// Why prints what holds each member where it is, and why it does nothing else. Members are asked in
// parallel, and each one that does not answer is said not to.
func (s *Session) Why(ctx context.Context, member string, f Format) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	out := ClusterWhy{Scope: c.Scope, Leader: c.Leader()}
	var asked []*httpapi.ClusterMember
	for i := range c.Members {
		if member == "" || c.Members[i].Name == member {
			asked = append(asked, &c.Members[i])
		}
	}
	if len(asked) == 0 && member != "" {
		return fail("%s is not a member of cluster %s", member, c.Scope)
	}
	out.Members = make([]MemberWhy, len(asked))
	var all sync.WaitGroup
	for i, m := range asked {
		all.Go(func() { out.Members[i] = s.memberWhy(ctx, m) })
	}
	all.Wait()
	for _, m := range out.Members {
		if m.Status == nil {
			s.notDone(ExitFailed)
		}
	}
	if f == JSON {
		text, err := compactJSON(out)
		if err != nil {
			return err
		}
		s.print(string(text))
		return nil
	}
	s.print(strings.TrimRight(whyText(&out, s.Now()), "\n"))
	return nil
}

func (s *Session) memberWhy(ctx context.Context, m *httpapi.ClusterMember) MemberWhy {
	why := MemberWhy{Name: m.Name, Role: m.Role}
	ctx, cancel := context.WithTimeout(ctx, whyTimeout)
	defer cancel()
	one := &RESTSource{s.API, m.APIURL}
	var status httpapi.RegentStatus
	code, err := one.get(ctx, "/regent/status", &status)
	switch {
	case err != nil:
		why.Problem = fmt.Sprintf("does not answer: %v", err)
	case code != http.StatusOK:
		why.Problem = fmt.Sprintf("answers %d: it runs Patroni, or a regent without /regent/status", code)
	default:
		why.Status = &status
	}
	return why
}

func whyText(w *ClusterWhy, now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Cluster %s: %s", w.Scope, leaseLine(w))
	for _, m := range w.Members {
		line("")
		if m.Status == nil {
			line("%s (%s)", m.Name, m.Role)
			line("  %s", m.Problem)
			continue
		}
		whyMember(line, m, now)
	}
	return b.String()
}

// leaseLine says who holds the lease, and by its own count for how long.
func leaseLine(w *ClusterWhy) string {
	for _, m := range w.Members {
		if m.Status != nil && m.Status.Lease.Held {
			l := m.Status.Lease
			return fmt.Sprintf("%s holds the lease, epoch %d, %.1f s left", m.Name, l.Epoch, float64(l.LeftMilli)/1000)
		}
	}
	if w.Leader != "" {
		return w.Leader + " holds the lease; it was not asked, or does not say for how long"
	}
	return "nobody holds the lease"
}

func whyMember(line func(string, ...any), m MemberWhy, now time.Time) {
	st := m.Status
	line("%s (%s): %s, PostgreSQL %s %s", m.Name, m.Role, st.State, st.Role, st.Postgres)
	line("  rule   %s: %s", st.Rule, orDash(st.Why))
	for _, r := range st.Refusals {
		line("  not    %s", refusalText(r))
	}
	if st.Problem != "" {
		line("  data   %s", st.Problem)
	}
	if st.NoAnswerMilli > 0 {
		line("  pg     no answer for %.1f s", float64(st.NoAnswerMilli)/1000)
	}
	if st.Paused {
		line("  pause  the cluster is paused")
	}
	line("  fence  %s%s", orDash(st.FenceStrength), guardText(st.Guard))
	dcs := "reachable"
	if !st.DCS.Reachable {
		dcs = "not reachable"
		if st.DCS.LastSeen > 0 {
			dcs += fmt.Sprintf(", last seen %.0f s ago", max(now.Sub(time.Unix(0, st.DCS.LastSeen)).Seconds(), 0))
		}
	}
	line("  dcs    %s, revision %d", dcs, st.DCS.Revision)
	for _, p := range st.DCS.Problems {
		line("  dcs    key %s cannot be read: %s", p.Key, p.Text)
	}
	for _, e := range st.InFlight {
		line("  doing  %s (effect %d), %.1f s to its deadline", e.Action, e.ID, float64(e.LeftMilli)/1000)
	}
	if st.Dropped > 0 {
		line("  log    %d records could not be written", st.Dropped)
	}
}

func refusalText(r events.Refusal) string {
	if r.Candidate == "" {
		return fmt.Sprintf("%s: %s", r.Rule, r.Why)
	}
	return fmt.Sprintf("%s: %s: %s", r.Candidate, r.Rule, r.Why)
}

func guardText(g httpapi.GuardStatus) string {
	switch {
	case g.Fired:
		return "; the guard has killed PostgreSQL: " + orDash(g.Reason)
	case g.Armed:
		return fmt.Sprintf("; the guard is armed, %.1f s left", float64(g.LeftMilli)/1000)
	case g.Alive:
		return "; the guard is alive, not armed"
	case g.Reason != "":
		return "; no guard: " + g.Reason
	}
	return ""
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
