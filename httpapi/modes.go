package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/regent-ha/regent/events"
)

// modes are the cluster-wide switches that decide which shape an answer has.
type modes struct {
	pause    bool
	sync     bool // synchronous_mode is on or quorum
	quorum   bool
	standby  bool // a standby cluster is configured
	failsafe bool
}

// parseModes reads the switches out of a dynamic configuration. What can not be read is off: it is reported
// elsewhere, by events.ParseSettings.
func parseModes(doc json.RawMessage) modes {
	var d struct {
		Pause       any             `json:"pause"`
		Synchronous any             `json:"synchronous_mode"`
		Failsafe    any             `json:"failsafe_mode"`
		Standby     json.RawMessage `json:"standby_cluster"`
	}
	if len(doc) == 0 || json.Unmarshal(doc, &d) != nil {
		return modes{}
	}
	m := modes{pause: isOn(d.Pause), failsafe: isOn(d.Failsafe)}
	if s, ok := d.Synchronous.(string); ok && strings.EqualFold(s, "quorum") {
		m.quorum = true
	}
	m.sync = m.quorum || isOn(d.Synchronous)
	if isObject(d.Standby) {
		var s map[string]any
		if json.Unmarshal(d.Standby, &s) == nil {
			m.standby = isSet(s["host"]) || isSet(s["port"]) || isSet(s["restore_command"])
		}
	}
	if m.standby {
		m.sync, m.quorum = false, false
	}
	return m
}

func isOn(v any) bool {
	on, ok := events.ParseBool(v)
	return ok && on
}

func isSet(v any) bool { return v != nil && v != "" && v != false && v != float64(0) }

// inSync tells that a member is listed in the sync key. Names compare without regard to case.
func inSync(s *events.SyncRecord, name string) bool {
	if s.Leader == "" {
		return false
	}
	for rest := s.SyncStandby; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, ",")
		if strings.EqualFold(strings.TrimSpace(one), name) {
			return true
		}
	}
	return false
}
