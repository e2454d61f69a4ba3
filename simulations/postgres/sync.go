package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/regent-ha/regent/events"
)

// syncRule is synchronous_standby_names.
type syncRule struct {
	text  string
	any   bool // the n furthest; otherwise the n first of the list that stream
	n     int  // zero: no rule
	names []string
}

// parseSync reads synchronous_standby_names as PostgreSQL does.
func parseSync(text string) (syncRule, error) {
	r := syncRule{text: text}
	t := strings.TrimSpace(text)
	if t == "" {
		return r, nil
	}
	list := t
	if open := strings.IndexByte(t, '('); open >= 0 {
		if !strings.HasSuffix(t, ")") {
			return syncRule{}, fmt.Errorf("synchronous_standby_names %q: no closing parenthesis", text)
		}
		list = t[open+1 : len(t)-1]
		f := strings.Fields(t[:open])
		switch {
		case len(f) == 2 && strings.EqualFold(f[0], "any"):
			r.any = true
			f = f[1:]
		case len(f) == 2 && strings.EqualFold(f[0], "first"):
			f = f[1:]
		}
		n, err := 0, error(nil)
		if len(f) == 1 {
			n, err = strconv.Atoi(f[0])
		}
		if err != nil || n < 1 {
			return syncRule{}, fmt.Errorf("synchronous_standby_names %q: want FIRST n (names), ANY n (names) or names", text)
		}
		r.n = n
	} else {
		r.n = 1
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if len(name) > 1 && name[0] == '"' && name[len(name)-1] == '"' {
			name = strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
		}
		if name == "" {
			return syncRule{}, fmt.Errorf("synchronous_standby_names %q: an empty name", text)
		}
		r.names = append(r.names, name)
	}
	return r, nil
}

// priority of a standby, from 1 on; zero for one that is not listed.
func (r *syncRule) priority(name string) int {
	for i, n := range r.names {
		if n == "*" || strings.EqualFold(n, name) {
			return i + 1
		}
	}
	return 0
}

// standby is a replica as the release rule sees it.
type standby struct {
	priority int
	flushed  events.LSN
	order    int // of its sender among those of equal priority
}

// released is the position up to which commits are released, and whether there is one.
func (r *syncRule) released(list []standby) (events.LSN, bool) {
	if r.n == 0 || len(list) < r.n {
		return 0, false
	}
	if r.any {
		slices.SortFunc(list, func(a, b standby) int { return compare(b.flushed, a.flushed) })
		return list[r.n-1].flushed, true
	}
	slices.SortFunc(list, func(a, b standby) int {
		if a.priority != b.priority {
			return a.priority - b.priority
		}
		return a.order - b.order
	})
	least := list[0].flushed
	for _, x := range list[:r.n] {
		least = min(least, x.flushed)
	}
	return least, true
}

func compare(a, b events.LSN) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// standbys are the replicas that the rule names and that stream from here, also those that have fallen silent. One that
// still catches up does not count.
func (s *Server) standbys() []standby {
	var list []standby
	for i, d := range s.c.servers {
		if d.up == nil || d.up.from != s {
			continue
		}
		d.settle()
		if p := s.sync.priority(d.name); p > 0 && d.up != nil && d.up.caught {
			list = append(list, standby{priority: p, flushed: d.reported(), order: i})
		}
	}
	return list
}

// SetSync sets synchronous_standby_names, as a reload does. Emptied, it releases whoever waits.
func (s *Server) SetSync(names string) error {
	r, err := parseSync(names)
	if err != nil {
		return err
	}
	s.sync = r
	s.release()
	return nil
}

// Sync is synchronous_standby_names.
func (s *Server) Sync() string { return s.sync.text }
