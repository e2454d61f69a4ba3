package ctl

import (
	"strings"
	"time"
)

var scheduleLayouts = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z0700",
	"2006-01-02T15:04:05.999999999Z07", "2006-01-02T15:04Z07",
}

var localScheduleLayouts = []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"}

// parseSchedule reads when an order is to be carried out; empty for now. A time without a zone is local.
func (s *Session) parseSchedule(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.EqualFold(text, "now") {
		return "", nil
	}
	at, ok := readTime(text, s.Now())
	if !ok {
		return "", fail("Unable to parse scheduled timestamp (%s). It should be in an unambiguous format (e.g. ISO 8601)", text)
	}
	return at.Format("2006-01-02T15:04:05.999999-07:00"), nil
}

func readTime(text string, now time.Time) (time.Time, bool) {
	form := strings.Replace(strings.TrimSuffix(text, " UTC"), " ", "T", 1)
	if strings.HasSuffix(text, " UTC") {
		form += "Z"
	}
	form = strings.Replace(form, " ", "", 1) // a blank before the zone
	for _, layout := range scheduleLayouts {
		if at, err := time.Parse(layout, form); err == nil {
			return at, true
		}
	}
	for _, layout := range localScheduleLayouts {
		if at, err := time.ParseInLocation(layout, form, now.Location()); err == nil {
			return at, true
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if at, err := time.Parse(layout, form); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, now.Location()), true
		}
	}
	return time.Time{}, false
}

func (s *Session) nextHour() string { return s.Now().Add(time.Hour).Format("2006-01-02T15:04") }
