package httpapi

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/regent-ha/regent/events"
)

// stateIndex numbers PostgreSQL's states as patroni_postgres_state does.
var stateIndex = map[string]float64{
	"initializing new cluster": 0, "initdb failed": 1, "running custom bootstrap script": 2,
	"custom bootstrap failed": 3, "creating replica": 4, stateRunning: 5, "starting": 6,
	"starting after custom bootstrap": 7, "start failed": 8, "restarting": 9, "restart failed": 10,
	"stopping": 11, "stopped": 12, "stop failed": 13, "crashed": 14,
}

// metric is one time series of the member: its name, its meaning, and how it is read from the picture.
type metric struct {
	name string
	kind prometheus.ValueType
	help string
	read func(p *picture, now events.Instant) float64
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var patroniMetrics = []metric{
	{"patroni_version", gauge, "Patroni version that the member is compatible with, two digits for each part.",
		func(*picture, events.Instant) float64 { return 40104 }},
	{"patroni_postgres_running", gauge, "1 if PostgreSQL runs and answers.",
		asFlag(func(p *picture) bool { return p.state() == stateRunning })},
	{"patroni_postmaster_start_time", gauge, "Epoch seconds at which PostgreSQL was started, 0 if unknown.",
		server(func(s *events.Server) float64 { return epochSeconds(s.StartedAt) })},
	{"patroni_primary", gauge, "1 if the member's PostgreSQL is a primary.",
		asFlag(func(p *picture) bool { return p.role() == rolePrimary })},
	{"patroni_xlog_location", counter, "Flushed WAL position in bytes of a primary, 0 on others.",
		server(func(s *events.Server) float64 { return where(!s.InRecovery, s.FlushLSN) })},
	{"patroni_standby_leader", gauge, "1 if the member leads a standby cluster.",
		asFlag(func(p *picture) bool { return p.role() == roleStandby })},
	{"patroni_replica", gauge, "1 if the member is a replica.", asFlag(func(p *picture) bool { return p.role() == roleReplica })},
	{"patroni_sync_standby", gauge, "1 if the member is a synchronous standby.", asFlag((*picture).syncStandby)},
	{"patroni_quorum_standby", gauge, "1 if the member is part of the quorum of synchronous standbys.", asFlag((*picture).quorumStandby)},
	{"patroni_xlog_received_location", counter, "Received WAL position in bytes of a replica, 0 on a primary.",
		server(func(s *events.Server) float64 { return where(s.InRecovery, max(s.ReceivedLSN, s.ReplayedLSN)) })},
	{"patroni_xlog_replayed_location", counter, "Replayed WAL position in bytes of a replica, 0 on a primary.",
		server(func(s *events.Server) float64 { return where(s.InRecovery, s.ReplayedLSN) })},
	{"patroni_xlog_replayed_timestamp", gauge, "Epoch seconds of the last transaction that a replica replayed, 0 if unknown.",
		server(func(s *events.Server) float64 { return epochSeconds(s.ReplayedAt) })},
	{"patroni_xlog_paused", gauge, "1 if replay is paused.",
		server(func(s *events.Server) float64 { return one(s.InRecovery && s.ReplayPaused) })},
	{"patroni_postgres_streaming", gauge, "1 if the replica streams.",
		server(func(s *events.Server) float64 { return one(s.ReplicationState == "streaming") })},
	{"patroni_postgres_in_archive_recovery", gauge, "1 if the replica replays from the archive.",
		server(func(s *events.Server) float64 { return one(s.ReplicationState == "in archive recovery") })},
	{"patroni_postgres_server_version", gauge, "PostgreSQL's version number, 0 if it does not answer.",
		server(func(s *events.Server) float64 { return float64(s.Version) })},
	{"patroni_cluster_unlocked", gauge, "1 if nobody is known to hold the leader lease.",
		asFlag(func(p *picture) bool { return !p.DCSReachable || p.View.Leader == "" })},
	{"patroni_failsafe_mode_is_active", gauge, "1 if failsafe mode is in force.", asFlag(func(*picture) bool { return false })},
	{"patroni_postgres_timeline", gauge, "PostgreSQL's timeline, 0 if unknown.",
		server(func(s *events.Server) float64 { return float64(s.Timeline) })},
	{"patroni_dcs_last_seen", gauge, "Epoch seconds of the last answer of the DCS.",
		func(p *picture, _ events.Instant) float64 { return float64(p.DCSLastSeen / 1e9) }},
	{"patroni_pending_restart", gauge, "1 if a parameter waits for a restart.",
		server(func(s *events.Server) float64 { return one(len(s.PendingRestart) > 0) })},
	{"patroni_is_paused", gauge, "1 if the cluster is paused.", asFlag(func(p *picture) bool { return p.modes.pause })},
	{"patroni_postgres_state", gauge,
		"PostgreSQL's state: 0 initializing, 1 initdb failed, 2 custom bootstrap, 3 custom bootstrap failed, " +
			"4 creating replica, 5 running, 6 starting, 7 starting after custom bootstrap, 8 start failed, 9 restarting, " +
			"10 restart failed, 11 stopping, 12 stopped, 13 stop failed, 14 crashed, -1 unknown.",
		func(p *picture, _ events.Instant) float64 {
			if n, ok := stateIndex[p.state()]; ok {
				return n
			}
			return -1
		}},
}

var regentMetrics = []metric{
	{"regent_lease_held", gauge, "1 if the member holds the leader lease, by its own count.",
		func(p *picture, now events.Instant) float64 { return one(p.HoldsLease(now)) }},
	{"regent_lease_seconds_left", gauge, "Seconds until the member's own lease ends, 0 if it holds none.",
		func(p *picture, now events.Instant) float64 {
			if !p.HoldsLease(now) {
				return 0
			}
			return p.LeaseUntil.Sub(now).Seconds()
		}},
	{"regent_lease_epoch", gauge, "Epoch of the member's own lease.",
		func(p *picture, _ events.Instant) float64 { return float64(p.Epoch) }},
	{"regent_dcs_reachable", gauge, "1 if the DCS answers.", asFlag(func(p *picture) bool { return p.DCSReachable })},
	{"regent_postgres_no_answer_seconds", gauge, "Seconds since PostgreSQL last answered, 0 if it answers or does not run.",
		func(p *picture, _ events.Instant) float64 { return p.Postgres.NoAnswerFor.Seconds() }},
	{"regent_guard_alive", gauge, "1 if the guard process lives.", asFlag(func(p *picture) bool { return p.Guard.Alive })},
	{"regent_guard_armed", gauge, "1 if the guard holds a deadline.", asFlag(func(p *picture) bool { return p.Guard.Deadline != 0 })},
	{"regent_effects_in_flight", gauge, "Effects without an outcome yet.",
		func(p *picture, _ events.Instant) float64 { return float64(len(p.InFlight)) }},
	{"regent_event_log_dropped_total", counter, "Event log records that could not be written.",
		func(p *picture, _ events.Instant) float64 { return float64(p.Dropped) }},
	{"regent_input_age_seconds", gauge, "Seconds since the engine consumed its last input.",
		func(p *picture, now events.Instant) float64 { return now.Sub(p.At).Seconds() }},
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func where(b bool, l events.LSN) float64 { return one(b) * float64(l) }

func asFlag(is func(*picture) bool) func(*picture, events.Instant) float64 {
	return func(p *picture, _ events.Instant) float64 { return one(is(p)) }
}

// server reads what PostgreSQL told, zero while it does not answer.
func server(read func(*events.Server) float64) func(*picture, events.Instant) float64 {
	return func(p *picture, _ events.Instant) float64 {
		if !p.Postgres.Answering {
			return 0
		}
		return read(&p.Postgres.Server)
	}
}

// collector turns the latest picture into metrics when it is scraped. It keeps nothing.
type collector struct {
	gallery *gallery
	metrics []metric
	descs   []*prometheus.Desc
	holding *prometheus.Desc
	fence   *prometheus.Desc
}

func newRegistry(g *gallery) (*prometheus.Registry, error) {
	own := []string{"scope", "name"}
	c := &collector{
		gallery: g,
		holding: prometheus.NewDesc("regent_lifecycle", "1 for the lifecycle state that the member is in and the rule that holds it there.",
			append(own, "state", "rule"), nil),
		fence: prometheus.NewDesc("regent_fence_strength", "1 for what would make the member unable to accept writes past its lease.",
			append(own, "strength"), nil),
	}
	c.metrics = append(append(c.metrics, patroniMetrics...), regentMetrics...)
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, own, nil))
	}
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return r, nil
}

// Describe names the metrics.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
	to <- c.holding
	to <- c.fence
}

// Collect reads the latest picture, once for all.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	p := c.gallery.look()
	if p == nil {
		return
	}
	now, scope, name := c.gallery.doors.Now(), p.Member.Scope, p.Member.Name
	for i, m := range c.metrics {
		if version := p.Postgres.Server.Version; version > 0 && version < 90600 &&
			(m.name == "patroni_postgres_streaming" || m.name == "patroni_postgres_in_archive_recovery") {
			continue // servers before 9.6 do not tell
		}
		to <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.read(p, now), scope, name)
	}
	to <- prometheus.MustNewConstMetric(c.holding, gauge, 1, scope, name, string(p.State), string(p.Rule))
	to <- prometheus.MustNewConstMetric(c.fence, gauge, 1, scope, name, p.FenceStrength)
}
