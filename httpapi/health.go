package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/regent-ha/regent/events"
)

// standing is what a member may be used for, as the health checks tell it.
type standing struct {
	leader, primary, standbyLeader bool
	replica                        bool
}

func (p *picture) standing(now events.Instant, q url.Values) standing {
	role := p.role()
	s := standing{replica: p.fitReplica(q)}
	if !p.DCSReachable && p.modes.pause { // nobody leads while paused without a DCS: the database's role decides
		s.leader = role == rolePrimary || role == roleStandby
		s.primary = role == rolePrimary && p.accepting()
		s.standbyLeader = role == roleStandby
		return s
	}
	if !p.HoldsLease(now) {
		return s
	}
	s.leader = true
	if p.modes.standby {
		s.replica = false
		s.standbyLeader = role == roleReplica || role == roleStandby
		return s
	}
	s.primary = p.accepting()
	return s
}

// fitReplica tells that the member is a replica that may serve reads, near enough to the leader.
func (p *picture) fitReplica(q url.Values) bool {
	if p.Member.Tags.NoLoadBalance || p.role() != roleReplica || p.state() != stateRunning {
		return false
	}
	if want := q.Get("replication_state"); want != "" && want != p.Postgres.Server.ReplicationState {
		return false
	}
	limit, limited := parseBytes(q.Get("lag"))
	optime := p.optime()
	return !limited || optime == 0 || uint64(optime) <= uint64(p.Postgres.Server.ReplayedLSN)+limit
}

// healthCode answers a health check: the first row that the path matches decides. Paths match by
// substring, as Patroni's do. A path that matches nothing is 503.
func (p *picture) healthCode(path string, q url.Values, now events.Instant) int {
	healthy, tagged := p.matchHealth(path, p.standing(now, q))
	if healthy && tagged {
		healthy = tagsMatch(&p.Member.Tags, q)
	}
	if healthy {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func (p *picture) matchHealth(path string, s standing) (healthy, tagged bool) {
	has := func(part string) bool { return strings.Contains(path, part) }
	switch {
	case path == "/":
		return s.primary, false
	case has("standby_leader"), has("standby-leader"):
		return s.standbyLeader, false
	case has("leader"):
		return s.leader, false
	case has("master"), has("primary"), has("read-write"):
		return s.primary, false
	case has("replica"):
		return s.replica, true
	case has("read-only") && !has("sync") && !has("quorum"):
		return s.primary || s.standbyLeader || s.replica, true
	case has("health"):
		return p.state() == stateRunning, true
	case !p.DCSReachable:
		return false, false
	}
	switch path {
	case "/sync", "/synchronous":
		return s.replica && p.syncStandby(), true
	case "/quorum":
		return s.replica && p.quorumStandby(), true
	case "/async", "/asynchronous":
		return s.replica && !p.syncStandby() && !p.quorumStandby(), true
	case "/read-only-quorum":
		return s.primary || s.standbyLeader || s.replica && p.quorumStandby(), true
	case "/read-only-sync", "/read-only-synchronous":
		return s.primary || s.standbyLeader || s.replica && p.syncStandby(), true
	}
	return false, false
}

// tagsMatch applies the parameters tag_<name>=<value> to the configured tags.
func tagsMatch(tags *events.Tags, q url.Values) bool {
	var have map[string]any
	for k, want := range q {
		name, ok := strings.CutPrefix(k, "tag_")
		if !ok || want[0] == "" {
			continue
		}
		if have == nil {
			have = tagMap(tags)
		}
		v, ok := have[name]
		if !ok || tagText(v) != want[0] {
			return false
		}
	}
	return true
}

func tagMap(tags *events.Tags) map[string]any {
	all := map[string]any{}
	if b, err := json.Marshal(tags); err != nil || json.Unmarshal(b, &all) != nil {
		return map[string]any{} // no tag matches: the filter then says 503 rather than a guess
	}
	return all
}

// tagText is a tag's value as a filter names it: strings exactly, all else in lower case.
func tagText(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case nil:
		return "none"
	}
	return strings.ToLower(fmt.Sprint(v))
}

// livenessCode is 503 when nothing was consumed from the queue for longer than a lease.
func (p *picture) livenessCode(now events.Instant) int {
	patience := 2 * p.Settings.TTL
	if p.role() == rolePrimary && p.Postgres.Running {
		patience = p.Settings.TTL
	}
	if p.modes.pause || now < p.At.Add(p.Settings.LoopWait+patience) {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// readinessCode tells whether the member takes part: it leads, or it streams and is near enough.
func (p *picture) readinessCode(q url.Values, now events.Instant) int {
	if p.HoldsLease(now) || p.streamsNearby(q) {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

func (p *picture) streamsNearby(q url.Values) bool {
	server := &p.Postgres.Server
	if p.state() != stateRunning || server.ReplicationState != "streaming" {
		return false
	}
	if !p.DCSReachable && server.LatestEndLSN == 0 {
		return false
	}
	limit, ok := parseBytes(q.Get("lag"))
	if !ok {
		limit = uint64(p.Settings.MaximumLagOnFailover)
	}
	position := server.ReplayedLSN
	if q.Get("mode") == "write" {
		position = max(server.ReceivedLSN, server.ReplayedLSN)
	}
	return uint64(p.optime()) <= uint64(position)+limit
}
