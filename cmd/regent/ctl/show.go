package ctl

import (
	"context"
	"fmt"

	"github.com/regent-ha/regent/httpapi"
)

// ShowConfig prints the dynamic configuration as YAML, nothing if there is none.
func (s *Session) ShowConfig(ctx context.Context) error {
	doc, err := s.document(ctx)
	if err != nil || doc.Value == nil {
		return err
	}
	m, err := decodeDocument(doc.Value)
	if err != nil {
		return err
	}
	text, err := documentYAML(m)
	if err != nil {
		return err
	}
	s.print(text)
	return nil
}

// History prints the ended timelines.
func (s *Session) History(ctx context.Context, f Format) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	rows, err := s.Source.History(ctx)
	if err != nil {
		return fmt.Errorf("read history of %s: %w", s.Scope, err)
	}
	t := &table{columns: []column{{"TL", true}, {"LSN", true}, {"Reason", false}, {"Timestamp", false}, {"New Leader", false}}}
	for _, r := range rows {
		t.rows = append(t.rows, []any{uint32(r.Timeline), uint64(r.LSN), r.Reason, r.Timestamp, r.NewLeader})
	}
	out, err := t.render(f, false)
	if err != nil {
		return err
	}
	s.print(out)
	return nil
}

// Versions prints what the members run; those of names only, if there are any.
func (s *Session) Versions(ctx context.Context, only []string) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	s.print("")
	for i := range c.Members {
		m := &c.Members[i]
		if len(only) > 0 && !contains(only, m.Name) {
			continue
		}
		one := &RESTSource{s.API, m.APIURL}
		var status httpapi.NodeStatus
		asked, cancel := context.WithTimeout(ctx, readTimeout)
		err := one.must(asked, "/patroni", &status)
		cancel()
		switch {
		case err != nil:
			s.printf("%s: failed to get version: %v", m.Name, err)
			s.notDone(ExitFailed)
		case status.Regent != nil:
			s.printf("%s: regent %s (Patroni %s) PostgreSQL %s", m.Name, status.Regent.Version, status.Patroni.Version,
				serverVersion(status.ServerVersion))
		default:
			s.printf("%s: Patroni %s PostgreSQL %s", m.Name, status.Patroni.Version, serverVersion(status.ServerVersion))
		}
	}
	return nil
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// serverVersion writes server_version_num as people do.
func serverVersion(number int) string {
	switch {
	case number == 0:
		return "unknown"
	case number >= 100000:
		return fmt.Sprintf("%d.%d", number/10000, number%10000)
	}
	return fmt.Sprintf("%d.%d.%d", number/10000, number/100%100, number%100)
}
