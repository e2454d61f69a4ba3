package events

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Settings is the dynamic configuration, as far as decisions depend on it: the DCS key config with
// defaults for what it leaves out. Everything else in the document is for PostgreSQL.
type Settings struct {
	// TTL is how long a lease lasts. It bounds how long a cluster is without a leader after the
	// leader's host died. Must be at least loop_wait + 2×retry_timeout, or one lost renewal is a failover; where
	// it is not, the other two are lowered, never the TTL.
	TTL          time.Duration
	LoopWait     time.Duration // the longest time between two looks at everything
	RetryTimeout time.Duration // how long a DCS or PostgreSQL operation may be retried
	// MaximumLagOnFailover, in bytes: a replica further behind than this does not campaign.
	MaximumLagOnFailover LSN
	// PrimaryStartTimeout is how long a crashed primary may take to come back before another member
	// takes over. Zero: fail over at once.
	PrimaryStartTimeout time.Duration
	PrimaryStopTimeout  time.Duration
	Pause               bool
	CheckTimeline       bool
	UseSlots            bool
	UsePgRewind         bool
	MaxTimelinesHistory int
	// MemberSlotsTTL is how long the slot of a member that vanished is kept.
	MemberSlotsTTL                     time.Duration
	RemoveDataDirectoryOnRewindFailure bool
	RemoveDataDirectoryOnDivergence    bool
	// Unsupported names a setting that promises what this version cannot keep (synchronous_mode,
	// standby_cluster). While it is set, a member that does not lead does not take the lead.
	Unsupported string
}

// Bounds of the timing settings. Patroni refuses a ttl below 20 s; regent's renewals are frequent enough for 3 s.
const (
	MinTTL          = 3 * time.Second
	MinLoopWait     = time.Second
	MinRetryTimeout = time.Second
)

// DefaultSettings are Patroni's defaults.
func DefaultSettings() Settings {
	return Settings{
		TTL: 30 * time.Second, LoopWait: 10 * time.Second, RetryTimeout: 10 * time.Second,
		MaximumLagOnFailover: 1 << 20, PrimaryStartTimeout: 300 * time.Second,
		UseSlots: true, MemberSlotsTTL: 1800 * time.Second,
	}
}

// ParseSettings reads a dynamic configuration document. Each field that is wrong is reported, by
// name, value and what would be right, and keeps its value from base.
func ParseSettings(doc json.RawMessage, base Settings) (Settings, []error) {
	s := base
	if len(doc) == 0 {
		return s, nil
	}
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		return s, []error{fmt.Errorf("dynamic configuration: want a JSON object: %w", err)}
	}
	p := settingsParser{doc: m}
	p.seconds("ttl", &s.TTL, MinTTL)
	p.seconds("loop_wait", &s.LoopWait, MinLoopWait)
	p.seconds("retry_timeout", &s.RetryTimeout, MinRetryTimeout)
	lag := time.Duration(s.MaximumLagOnFailover)
	p.number("maximum_lag_on_failover", &lag, 1, 0, "a number of bytes, 0 or more")
	s.MaximumLagOnFailover = LSN(lag)
	p.seconds("master_start_timeout", &s.PrimaryStartTimeout, 0)
	p.seconds("primary_start_timeout", &s.PrimaryStartTimeout, 0)
	p.seconds("master_stop_timeout", &s.PrimaryStopTimeout, 0)
	p.seconds("primary_stop_timeout", &s.PrimaryStopTimeout, 0)
	p.seconds("member_slots_ttl", &s.MemberSlotsTTL, 0)
	p.boolean("pause", &s.Pause)
	p.boolean("check_timeline", &s.CheckTimeline)
	history := time.Duration(s.MaxTimelinesHistory)
	p.number("max_timelines_history", &history, 1, 0, "a number of rows, 0 (all) or more")
	s.MaxTimelinesHistory = int(history)
	s.Unsupported = ""
	p.off("standby_cluster", &s.Unsupported)
	p.off("synchronous_mode", &s.Unsupported)
	if pg, ok := m["postgresql"].(map[string]any); ok {
		p.doc, p.prefix = pg, "postgresql."
		p.boolean("use_slots", &s.UseSlots)
		p.boolean("use_pg_rewind", &s.UsePgRewind)
		p.boolean("remove_data_directory_on_rewind_failure", &s.RemoveDataDirectoryOnRewindFailure)
		p.boolean("remove_data_directory_on_diverged_timelines", &s.RemoveDataDirectoryOnDivergence)
	} else if v, has := m["postgresql"]; has && v != nil {
		p.bad("postgresql", v, "an object")
	}
	sort.Slice(p.errs, func(i, j int) bool { return p.errs[i].Error() < p.errs[j].Error() })
	s.fitTiming()
	return s, p.errs
}

// fitTiming lowers loop_wait and retry_timeout until loop_wait + 2×retry_timeout fits into ttl.
func (s *Settings) fitTiming() {
	if MinLoopWait+2*s.RetryTimeout > s.TTL {
		s.LoopWait = MinLoopWait
		s.RetryTimeout = max((s.TTL-MinLoopWait)/2, MinRetryTimeout)
		return
	}
	if s.LoopWait+2*s.RetryTimeout > s.TTL {
		s.LoopWait = max(s.TTL-2*s.RetryTimeout, MinLoopWait)
	}
}

type settingsParser struct {
	doc    map[string]any
	prefix string
	errs   []error
}

func (p *settingsParser) bad(key string, v any, want string) {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("?")
	}
	p.errs = append(p.errs, fmt.Errorf("%s%s = %s: want %s", p.prefix, key, b, want))
}

var timeUnits = []struct {
	suffix string
	unit   time.Duration
}{{"us", time.Microsecond}, {"ms", time.Millisecond}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"d", 24 * time.Hour}}

func (p *settingsParser) seconds(key string, into *time.Duration, least time.Duration) {
	if text, ok := p.doc[key].(string); ok {
		for _, u := range timeUnits {
			if n, ok := strings.CutSuffix(text, u.suffix); ok {
				if f, ok := parseNumber(n); ok && inRange(f, u.unit, least) {
					*into = time.Duration(f * float64(u.unit))
					return
				}
			}
		}
	}
	p.number(key, into, time.Second, least, fmt.Sprintf("a number of seconds, at least %v, or text with a unit as in 30s, 5min", least.Seconds()))
}

func (p *settingsParser) number(key string, into *time.Duration, unit, least time.Duration, want string) {
	v, ok := p.doc[key]
	if !ok || v == nil {
		return
	}
	f, isNumber := v.(float64)
	if text, ok := v.(string); ok {
		f, isNumber = parseNumber(text)
	}
	if !isNumber || !inRange(f, unit, least) {
		p.bad(key, v, want)
		return
	}
	*into = time.Duration(f * float64(unit))
}

func parseNumber(text string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return f, err == nil
}

// inRange keeps the conversion to a Duration, and sums of three of them, from overflowing: what a float out of
// range converts to differs between processors. The upper bound is about 31 years, or 2^50 for plain numbers.
func inRange(f float64, unit, least time.Duration) bool {
	top := 1e18
	if unit == 1 {
		top = 1 << 50
	}
	n := f * float64(unit)
	return n >= float64(least) && n >= 0 && n <= top // false for NaN
}

// off refuses a setting that is on: ignoring it would break a promise.
func (p *settingsParser) off(key string, unsupported *string) {
	v := p.doc[key]
	if b, ok := ParseBool(v); v == nil || ok && !b {
		return
	}
	if section, ok := v.(map[string]any); ok && section["host"] == nil && section["port"] == nil && section["restore_command"] == nil {
		return
	}
	*unsupported = key
	p.bad(key, v, "off or absent: this version of regent cannot keep what it promises")
}

func (p *settingsParser) boolean(key string, into *bool) {
	v, ok := p.doc[key]
	if !ok || v == nil {
		return
	}
	if b, ok := ParseBool(v); ok {
		*into = b
		return
	}
	p.bad(key, v, "on or off")
}

// ParseBool reads a boolean as PostgreSQL and Patroni write it: on/off, true/false, yes/no, 1/0.
func ParseBool(v any) (value, ok bool) {
	switch x := v.(type) {
	case bool:
		return x, true
	case float64:
		return x == 1, x == 0 || x == 1
	case string:
		switch strings.ToLower(x) {
		case "on", "true", "yes", "1":
			return true, true
		case "off", "false", "no", "0":
			return false, true
		}
	}
	return false, false
}
