package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cutNumber splits a text into a leading decimal number and the unit after it.
func cutNumber(s string) (float64, string, bool) {
	s = strings.TrimSpace(s)
	end := len(s)
	for i, c := range s {
		if (c < '0' || c > '9') && c != '.' && c != '+' && c != '-' {
			end = i
			break
		}
	}
	f, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, "", false
	}
	return f, strings.TrimSpace(s[end:]), true
}

var byteUnits = map[string]float64{"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// parseBytes reads an amount of WAL such as 16kB or 10MB, the units being PostgreSQL's.
func parseBytes(s string) (uint64, bool) {
	f, unit, ok := cutNumber(s)
	scale, known := byteUnits[unit]
	if !ok || !known || f < 0 || f*scale >= math.MaxInt64 {
		return 0, false
	}
	return uint64(math.Round(f * scale)), true
}

var secondUnits = map[string]float64{"": 1, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}

// parseSeconds reads a number of seconds, as a JSON number or as a text with one of PostgreSQL's units.
func parseSeconds(raw json.RawMessage) (int, bool) {
	f, unit, ok := cutNumber(textOf(raw))
	scale, known := secondUnits[unit]
	if !ok || !known || math.Abs(f*scale) > math.MaxInt32 {
		return 0, false
	}
	return int(math.RoundToEven(f * scale)), true
}

var (
	scheduleLayouts = []string{
		"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
		"20060102T150405", "20060102T1504",
	}
	zoneLayouts = []string{"Z07:00", "-0700", "-07", " Z07:00", " -0700", " -07"}
)

// parseTime reads a timestamp in ISO 8601's forms; zoned tells whether it named its zone.
func parseTime(s string) (t time.Time, zoned bool, err error) {
	s = strings.TrimSpace(s)
	for _, name := range []string{"UTC", "GMT"} {
		if rest, ok := strings.CutSuffix(s, name); ok {
			s = strings.TrimSpace(rest) + "Z"
		}
	}
	for _, layout := range scheduleLayouts {
		for _, zone := range zoneLayouts {
			if t, err := time.Parse(layout+zone, s); err == nil {
				return t, true, nil
			}
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t, false, nil
		}
	}
	return time.Time{}, false, fmt.Errorf("parse time %q: want ISO 8601", s)
}

// parseSchedule reads the time of an order to come and refuses what is not one, in Patroni's words.
func parseSchedule(raw json.RawMessage, action string, now time.Time) (time.Time, *answer) {
	var s string
	t, zoned, err := time.Time{}, false, json.Unmarshal(raw, &s)
	if err == nil {
		t, zoned, err = parseTime(s)
	}
	var refusal answer
	switch {
	case err != nil:
		refusal = text(http.StatusUnprocessableEntity,
			"Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601")
	case !zoned:
		refusal = text(http.StatusBadRequest, "Timezone information is mandatory for the scheduled "+action)
	case t.Before(now):
		refusal = text(http.StatusUnprocessableEntity, "Cannot schedule "+action+" in the past")
	default:
		return t, nil
	}
	return time.Time{}, &refusal
}

// isoTime writes a time as the other members and their tools expect it: with an offset, never with Z.
func isoTime(t time.Time) string {
	if t.Nanosecond() >= int(time.Microsecond) {
		return t.Format("2006-01-02T15:04:05.000000-07:00")
	}
	return t.Format("2006-01-02T15:04:05-07:00")
}

// sqlTime writes a timestamp that PostgreSQL told as the status shows it, and leaves alone what it can not read.
func sqlTime(s string) string {
	t, zoned, err := parseTime(s)
	if err != nil || !zoned {
		return s
	}
	return t.Format("2006-01-02 15:04:05.000000-07:00")
}

// epochSeconds is a timestamp that PostgreSQL told as a number, zero if it is none.
func epochSeconds(s string) float64 {
	t, zoned, err := parseTime(s)
	if err != nil || !zoned {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}

// parseVersion turns X.Y or X.Y.Z into PostgreSQL's server_version_num.
func parseVersion(s string) (int, error) {
	parts := strings.Split(s, ".")
	n := make([]int, len(parts))
	for i, p := range parts {
		v, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil || v < 0 || v > 99 {
			return 0, errors.New("Invalid PostgreSQL version: " + s)
		}
		n[i] = v
	}
	switch {
	case len(n) == 2 && n[0] >= 10:
		return n[0]*10000 + n[1], nil
	case len(n) == 3:
		return n[0]*10000 + n[1]*100 + n[2], nil
	}
	return 0, errors.New("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: " + s)
}
