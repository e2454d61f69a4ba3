package pgdriver

import (
	"testing"

	"github.com/regent-ha/regent/events"
)

// The primary of timeline 2 dies before the replica's first restartpoint on it: the WAL receiver is gone, and pg_control
// still says 1. The replica has WAL of timeline 2 all the same, and must be fit to lead.
func TestReplicaTimelineDoesNotFallBack(t *testing.T) {
	a := &asker{}
	for i, c := range []struct {
		server events.Server
		want   events.Timeline
	}{
		{events.Server{InRecovery: true, StartedAt: "noon", Timeline: 1}, 1},
		{events.Server{InRecovery: true, StartedAt: "noon", Timeline: 2}, 2},
		{events.Server{InRecovery: true, StartedAt: "noon", Timeline: 1}, 2},
		{events.Server{InRecovery: true, StartedAt: "one", Timeline: 1}, 1}, // another server, perhaps of other data
		{events.Server{InRecovery: true, StartedAt: "one", Timeline: 3}, 3},
		{events.Server{StartedAt: "one", Timeline: 4}, 4},
		{events.Server{InRecovery: true, StartedAt: "one", Timeline: 2}, 2},
	} {
		a.keepTimeline(&c.server)
		if c.server.Timeline != c.want {
			t.Errorf("look %d: timeline %d, want %d", i, c.server.Timeline, c.want)
		}
	}
}
