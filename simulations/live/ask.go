package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/regent-ha/regent/httpapi"
)

const askPause = 50 * time.Millisecond

// ErrNoLeader says that no member holds the lease with a PostgreSQL that is out of recovery.
var ErrNoLeader = errors.New("no member leads")

// Status asks a member's agent what it does and why.
func (c *Cluster) Status(ctx context.Context, m *Member) (httpapi.RegentStatus, error) {
	return c.client.RegentStatus(ctx, m.APIURL)
}

// statuses asks all members at once. Who does not answer is nil.
func (c *Cluster) statuses(ctx context.Context) []*httpapi.RegentStatus {
	all := make([]*httpapi.RegentStatus, len(c.members))
	var wg sync.WaitGroup
	for i, m := range c.members {
		wg.Go(func() {
			if st, err := c.Status(ctx, m); err == nil {
				all[i] = &st
			}
		})
	}
	wg.Wait()
	return all
}

func leads(st *httpapi.RegentStatus) bool {
	return st != nil && st.Lease.Held && st.Role == "primary" && st.Postgres == "running"
}

// Leader is the member that says of itself that it holds the lease and that its PostgreSQL runs as the primary.
func (c *Cluster) Leader(ctx context.Context) (*Member, error) {
	for i, st := range c.statuses(ctx) {
		if leads(st) {
			return c.members[i], nil
		}
	}
	return nil, ErrNoLeader
}

// WaitLeader waits until a member leads of whom ok says yes; nil takes any.
func (c *Cluster) WaitLeader(ctx context.Context, ok func(name string) bool) (*Member, error) {
	var found *Member
	err := poll(ctx, askPause, func() (bool, error) {
		m, err := c.Leader(ctx)
		if err != nil || ok != nil && !ok(m.Name) {
			return false, nil
		}
		found = m
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for a leader: %w: %s", err, c.describe())
	}
	return found, nil
}

// WaitHealthy waits until one member leads and all others stream from it.
func (c *Cluster) WaitHealthy(ctx context.Context) error {
	return c.WaitStreaming(ctx, c.members...)
}

// WaitStreaming waits until one of these members leads and the others stream from it, whatever becomes of the rest.
func (c *Cluster) WaitStreaming(ctx context.Context, members ...*Member) error {
	missing := "nothing is known yet"
	err := poll(ctx, askPause, func() (bool, error) {
		leader, err := c.Leader(ctx)
		if err != nil {
			missing = err.Error()
			return false, nil
		}
		if missing, err = c.notStreaming(ctx, leader, members); err != nil {
			missing = err.Error()
		}
		return missing == "", nil
	})
	if err != nil {
		return fmt.Errorf("wait for a healthy cluster: %w: %s; %s", err, missing, c.describe())
	}
	return nil
}

// notStreaming says who of the members does not stream from the leader, empty if all do.
func (c *Cluster) notStreaming(ctx context.Context, leader *Member, members []*Member) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := leader.connect(ctx)
	if err != nil {
		return "", err
	}
	defer closeConn(conn)
	rows, err := conn.Query(ctx, `SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' AND NOT pg_is_in_recovery()`)
	if err != nil {
		return "", err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	streaming := map[string]bool{leader.Name: true}
	for _, n := range names {
		streaming[n] = true
	}
	sts := c.statuses(ctx)
	for i, m := range c.members {
		wanted := false
		for _, w := range members {
			wanted = wanted || w == m
		}
		switch {
		case !wanted:
		case !streaming[m.Name]:
			return m.Name + " does not stream from " + leader.Name, nil
		case sts[i] == nil:
			return "the agent of " + m.Name + " does not answer", nil
		case m != leader && (sts[i].Role != "replica" || sts[i].Postgres != "running"):
			return fmt.Sprintf("%s is a %s, %s", m.Name, sts[i].Role, sts[i].Postgres), nil
		}
	}
	return "", nil
}

// describe tells for a failure's message what each member says of itself.
func (c *Cluster) describe() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	text := ""
	for i, st := range c.statuses(ctx) {
		if i > 0 {
			text += "; "
		}
		text += c.members[i].Name
		if st == nil {
			text += " does not answer"
			continue
		}
		text += fmt.Sprintf(" is %s by %s (%s), %s %s, leader %q, lease held %t, guard %t %s", st.State, st.Rule, st.Why, st.Postgres, st.Role,
			st.Leader, st.Lease.Held, st.Guard.Alive, st.Problem)
	}
	return text
}

func (m *Member) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(m.DSN())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", m.Name, err)
	}
	cfg.DialFunc = m.c.dial
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", m.Name, err)
	}
	return conn, nil
}

// closeConn gives a connection back. What it was used for has been answered, so its end can lose nothing.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx)
}

// Query asks a member's PostgreSQL for one text.
func (m *Member) Query(ctx context.Context, sql string) (string, error) {
	conn, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	defer closeConn(conn)
	var text string
	if err := conn.QueryRow(ctx, sql).Scan(&text); err != nil {
		return "", fmt.Errorf("ask %s: %w", m.Name, err)
	}
	return text, nil
}

// Exec runs a statement on a member's PostgreSQL.
func (m *Member) Exec(ctx context.Context, sql string) error {
	conn, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("run a statement on %s: %w", m.Name, err)
	}
	return nil
}

// Switchover orders the leader to hand over, to a member or to whom it chooses, and returns its answer.
func (c *Cluster) Switchover(ctx context.Context, to string) (string, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return "", fmt.Errorf("switchover: %w", err)
	}
	r, err := c.client.Switchover(ctx, leader.APIURL, httpapi.ChangeBody{Leader: leader.Name, Candidate: to})
	if err == nil && r.Code != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", leader.Name, r.Code, r.Body)
	}
	if err != nil {
		return "", fmt.Errorf("switchover: %w", err)
	}
	return r.Body, nil
}

// PatchConfig changes the dynamic configuration and waits until every agent that answers knows it.
func (c *Cluster) PatchConfig(ctx context.Context, change any) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return fmt.Errorf("change the dynamic configuration: %w", err)
	}
	r, err := c.client.PatchConfig(ctx, leader.APIURL, change)
	if err == nil && r.Code != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", leader.Name, r.Code, r.Body)
	}
	var want any
	if err == nil {
		err = json.Unmarshal([]byte(r.Body), &want)
	}
	if err != nil {
		return fmt.Errorf("change the dynamic configuration: %w", err)
	}
	for _, m := range c.members {
		err := poll(ctx, askPause, func() (bool, error) {
			have, err := m.config(ctx)
			return err != nil || reflect.DeepEqual(have, want), nil
		})
		if err != nil {
			return fmt.Errorf("wait until %s knows the dynamic configuration: %w", m.Name, err)
		}
	}
	return nil
}

func (m *Member) config(ctx context.Context) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.APIURL+"/config", nil)
	if err != nil {
		return nil, err
	}
	resp, err := m.c.plain.Do(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	var doc any
	return doc, json.Unmarshal(b, &doc)
}
