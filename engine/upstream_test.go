package engine

import (
	"testing"

	"github.com/regent-ha/regent/events"
)

// A replica follows the member that replicatefrom names, unless nothing would come from there.
func TestWhomAReplicaFollows(t *testing.T) {
	for _, tt := range []struct {
		name string
		from map[string]string // replicatefrom, by member; n1 leads, and n2 is asked
		want string
	}{
		{"the leader", nil, "n1"},
		{"another replica", map[string]string{"n2": "n3"}, "n3"},
		{"a replica of a replica", map[string]string{"n2": "n3", "n3": "n4"}, "n3"},
		{"itself", map[string]string{"n2": "n2"}, "n1"},
		{"somebody who is not there", map[string]string{"n2": "n9"}, "n1"},
		{"one that follows it", map[string]string{"n2": "n3", "n3": "n2"}, "n1"},
		{"a circle of three", map[string]string{"n2": "n3", "n3": "n4", "n4": "n2"}, "n1"},
		{"a circle that it is not in", map[string]string{"n2": "n3", "n3": "n4", "n4": "n3"}, "n1"},
		{"the leader, which would follow it", map[string]string{"n2": "n1", "n1": "n2"}, "n1"},
	} {
		s := state{}
		s.member.Name, s.member.Tags.ReplicateFrom = "n2", tt.from["n2"]
		s.viewKnown, s.view.Leader = true, "n1"
		for _, name := range []string{"n1", "n2", "n3", "n4"} {
			s.view.Members = append(s.view.Members, events.MemberRecord{
				Name: name, ConnURL: "postgres://" + name, Tags: &events.Tags{ReplicateFrom: tt.from[name]},
			})
		}
		if up := s.wantedUpstream(); up.Name != tt.want {
			t.Errorf("%s: follows %q, want %q", tt.name, up.Name, tt.want)
		}
	}
}
