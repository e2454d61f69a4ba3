package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var durationUnits = []struct {
	name string
	unit time.Duration
}{{"us", time.Microsecond}, {"ms", time.Millisecond}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"d", 24 * time.Hour}}

var sizeUnits = []struct {
	name string
	unit int64
}{{"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}, {"B", 1}}

// ParseDuration reads a time as PostgreSQL writes it: 90, 1.5s, 300ms, 5min. A number without a
// unit is a number of unit.
func ParseDuration(text string, unit time.Duration) (time.Duration, error) {
	number := strings.TrimSpace(text)
	for _, u := range durationUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(n), u.unit
			break
		}
	}
	f, err := parseNumber(number)
	d := f * float64(unit)
	if err != nil || math.Abs(d) > math.MaxInt64/2 {
		return 0, fmt.Errorf("read time %q: want a number, or one with a unit (us, ms, s, min, h, d)", text)
	}
	return time.Duration(math.RoundToEven(d)), nil
}

// ParseSize reads a number of bytes as PostgreSQL writes it: 1024, 64MB, 1.5GB.
func ParseSize(text string) (int64, error) {
	number, unit := strings.TrimSpace(text), int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(n), u.unit
			break
		}
	}
	f, err := parseNumber(number)
	n := f * float64(unit)
	if err != nil || math.Abs(n) > math.MaxInt64/2 {
		return 0, fmt.Errorf("read size %q: want a number of bytes, or one with a unit (B, kB, MB, GB, TB)", text)
	}
	return int64(math.RoundToEven(n)), nil
}

// parseNumber reads an integer in C's notations, or a decimal fraction.
func parseNumber(text string) (float64, error) {
	if n, err := strconv.ParseInt(text, 0, 64); err == nil && !strings.Contains(text, "_") {
		return float64(n), nil
	}
	for _, c := range text {
		if !strings.ContainsRune("0123456789+-.eE", c) {
			return 0, fmt.Errorf("read number %q", text)
		}
	}
	return strconv.ParseFloat(text, 64)
}

// SplitHostPort splits at the last colon. Several hosts may stand before it, separated by commas;
// IPv6 addresses may be in brackets, which are removed.
func SplitHostPort(text string) (hosts string, port int, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", 0, fmt.Errorf("read address %q: want host:port", text)
	}
	port, err = strconv.Atoi(text[i+1:])
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("read address %q: want a port from 0 to 65535 after the last colon", text)
	}
	list := strings.Split(text[:i], ",")
	for i, h := range list {
		h = strings.TrimSpace(h)
		if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
			h = h[1 : len(h)-1]
		}
		list[i] = h
	}
	return strings.Join(list, ","), port, nil
}
