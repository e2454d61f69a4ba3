package events

import "time"

// DataState is what the data directory holds.
type DataState string

// The states of a data directory.
const (
	DataUnknown DataState = ""        // not looked at yet, or the disk does not answer
	DataEmpty   DataState = "empty"   // absent or empty
	DataPresent DataState = "present" // a PostgreSQL data directory with a readable pg_control
	DataInvalid DataState = "invalid" // something else, or a pg_control that cannot be read
)

// Observation is one look at the local PostgreSQL. Every look is complete: a field left zero means
// that it is unknown now, not that it is as before.
type Observation struct {
	// Sampled is when the look began: it shows nothing that happened later.
	Sampled Instant   `json:"sampled"`
	Data    DataState `json:"data"`
	// Problem says why Data is invalid or why nothing could be learned.
	Problem string `json:"problem,omitempty"`
	// Running tells that a postmaster of this data directory lives; PID is its process.
	Running bool `json:"running"`
	PID     int  `json:"pid,omitempty"`
	// Answering tells that the monitoring query was answered; the fields of Server are then valid.
	Answering bool `json:"answering"`
	// Starting tells that the postmaster rejects connections because it starts up, or recovers.
	Starting bool `json:"starting,omitempty"`
	// Rejecting tells that the server answered, with an error: it has no connection left, it is being stopped, it does not know our password.
	Rejecting bool `json:"rejecting,omitempty"`
	// NoAnswerFor is the time since the last answered query while Running and not Answering.
	NoAnswerFor time.Duration `json:"no_answer_for,omitempty"`
	Server      Server        `json:"server"`
	Control     Control       `json:"control"`
}

// Server is what the one monitoring query tells.
type Server struct {
	InRecovery       bool           `json:"in_recovery,omitempty"`
	Timeline         Timeline       `json:"timeline,omitempty"`
	FlushLSN         LSN            `json:"flush_lsn,omitempty"`    // primary
	ReceivedLSN      LSN            `json:"received_lsn,omitempty"` // replica: written or received
	ReplayedLSN      LSN            `json:"replayed_lsn,omitempty"` // replica
	ReplayedAt       string         `json:"replayed_at,omitempty"`  // commit time of the last replayed transaction
	ReplayPaused     bool           `json:"replay_paused,omitempty"`
	ReplicationState string         `json:"replication_state,omitempty"` // streaming, in archive recovery
	Upstream         string         `json:"upstream,omitempty"`          // host:port of the live WAL receiver
	LatestEndLSN     LSN            `json:"latest_end_lsn,omitempty"`    // of the live WAL receiver
	Version          int            `json:"version,omitempty"`           // server_version_num
	StartedAt        string         `json:"started_at,omitempty"`        // pg_postmaster_start_time
	PendingRestart   []PendingParam `json:"pending_restart,omitempty"`
	Walsenders       []Walsender    `json:"walsenders,omitempty"`
	Slots            []Slot         `json:"slots,omitempty"`
}

// Position is the newest WAL that the server holds: flushed on a primary, received or replayed
// (whichever is further) on a replica.
func (s *Server) Position() LSN {
	if !s.InRecovery {
		return s.FlushLSN
	}
	return max(s.ReceivedLSN, s.ReplayedLSN)
}

// PendingParam is a parameter that takes effect at the next restart.
type PendingParam struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Walsender is a row of pg_stat_replication.
type Walsender struct {
	User            string `json:"user,omitempty"`
	ApplicationName string `json:"application_name,omitempty"`
	ClientAddr      string `json:"client_addr,omitempty"`
	State           string `json:"state,omitempty"`
	SyncState       string `json:"sync_state,omitempty"`
	SyncPriority    int    `json:"sync_priority,omitempty"`
	FlushLSN        LSN    `json:"flush_lsn,omitempty"`
}

// Slot is a row of pg_replication_slots.
type Slot struct {
	Name       string `json:"name"`
	Physical   bool   `json:"physical"`
	Active     bool   `json:"active,omitempty"`
	RestartLSN LSN    `json:"restart_lsn,omitempty"`
}

// Control is what pg_control tells. It is filled whenever the file can be read.
type Control struct {
	SystemID string `json:"system_id,omitempty"`
	// State is PostgreSQL's own text: "in production", "shut down", "shut down in recovery",
	// "in archive recovery", "in crash recovery", "shutting down", "starting up".
	State           string   `json:"state,omitempty"`
	Timeline        Timeline `json:"timeline,omitempty"` // of the latest checkpoint
	CheckpointLSN   LSN      `json:"checkpoint_lsn,omitempty"`
	MinRecoveryLSN  LSN      `json:"min_recovery_lsn,omitempty"`
	MinRecoveryTLI  Timeline `json:"min_recovery_tli,omitempty"`
	CanRewind       bool     `json:"can_rewind,omitempty"`        // checksums or wal_log_hints
	StandbySignal   bool     `json:"standby_signal,omitempty"`    // standby.signal is there
	VersionMajor    int      `json:"version_major,omitempty"`     // of the data directory
	BackupLabelSeen bool     `json:"backup_label_seen,omitempty"` // a base backup, or what pg_rewind made, never started since
}

// Clean tells that the server was shut down and lost nothing.
func (c *Control) Clean() bool { return c.State == "shut down" || c.State == "shut down in recovery" }

// PeerStatus is another member's state as told by its REST API.
type PeerStatus struct {
	Name      string `json:"name"`
	Reachable bool   `json:"reachable"`
	Error     string `json:"error,omitempty"`
	Running   bool   `json:"running,omitempty"` // its PostgreSQL answers
	// Mute tells that its agent answers, and that its PostgreSQL is there and does not.
	Mute bool `json:"mute,omitempty"`
	// Primary tells that its PostgreSQL is out of recovery.
	Primary        bool     `json:"primary,omitempty"`
	Timeline       Timeline `json:"timeline,omitempty"`
	Position       LSN      `json:"position,omitempty"` // newest WAL it holds
	Tags           Tags     `json:"tags"`
	WatchdogFailed bool     `json:"watchdog_failed,omitempty"`
}
