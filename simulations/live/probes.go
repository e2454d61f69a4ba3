package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	probesTable = "regent_live_probes"
	probeEvery  = 5 * time.Millisecond
)

// Probes are clients, one for each member, that each try all the time to write to their own member and to no other, or only look
// whether it would accept a write. They tell whether two members ever accepted writes at once.
//
// A tenure is an uninterrupted run of acknowledged writes of one member over one connection. Of each write two instants are
// known, before it was sent and after it was acknowledged, and the server accepted it in between. So a member was a
// primary for certain from the acknowledgement of a tenure's first write to the sending of its last. Overlap counts only what is certain: it
// never accuses wrongly, and it cannot see an overlap shorter than Resolution.
type Probes struct {
	c     *Cluster
	run   int64 // tells its writes from those of others
	every time.Duration
	looks bool // it only looks: a look at a server that is out of recovery counts as a write
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	tenures []*Tenure
	slowest time.Duration // longest time between two writes of one tenure
	accepts map[string]bool
}

// Tenure is a run of acknowledged writes of one member's PostgreSQL.
type Tenure struct {
	Member     string
	Postmaster time.Time // when that PostgreSQL was started
	First      Ack
	Last       Ack
	Writes     []Ack
}

// Overlap is what two members acknowledged at the same time.
type Overlap struct {
	Largest time.Duration // in which two members were primaries for certain
	Total   time.Duration // over all pairs of tenures
	Writes  int           // acknowledged by one member while another was a primary
	Between string        // the members of the largest
}

// None tells that no two members accepted writes at once.
func (o Overlap) None() bool { return o.Total == 0 && o.Writes == 0 }

func (o Overlap) String() string {
	if o.None() {
		return "none"
	}
	return fmt.Sprintf("%v in all, largest %v (%s), %d writes", o.Total, o.Largest, o.Between, o.Writes)
}

// StartProbes makes the table and starts the probes. Stop ends them.
func StartProbes(ctx context.Context, c *Cluster) (*Probes, error) {
	return c.startProbes(ctx, probeEvery)
}

// startProbes makes probes that write so often.
func (c *Cluster) startProbes(ctx context.Context, every time.Duration) (*Probes, error) {
	table := "CREATE TABLE IF NOT EXISTS " + probesTable + " (run bigint, member text, n bigint, at timestamptz DEFAULT clock_timestamp())"
	if err := c.onLeader(ctx, table); err != nil {
		return nil, fmt.Errorf("start the probes: %w", err)
	}
	p := &Probes{c: c, every: every}
	p.begin()
	return p, nil
}

// watchPrimaries starts probes that write nothing. Nothing needs to run yet.
func (c *Cluster) watchPrimaries() *Probes {
	p := &Probes{c: c, every: probeEvery, looks: true}
	p.begin()
	return p
}

func (p *Probes) begin() {
	p.run, p.accepts = rand.Int64(), map[string]bool{}
	work, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, m := range p.c.members {
		p.wg.Go(func() { p.probe(work, m) })
	}
}

// Stop ends the probes.
func (p *Probes) Stop() {
	p.stop()
	p.wg.Wait()
}

// probe works on one member: a connection after the other.
func (p *Probes) probe(ctx context.Context, m *Member) {
	n := int64(0)
	for ctx.Err() == nil {
		err := p.session(ctx, m, &n)
		p.noteAccepts(m, false)
		if err != nil {
			pause(ctx, min(p.every, lanePause)) // a server that is down, or a connection that broke, is what probes are there to see
		}
	}
}

// session writes over one connection until it breaks.
func (p *Probes) session(ctx context.Context, m *Member, n *int64) error {
	cctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	conn, err := m.connect(cctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	var started time.Time
	if err := conn.QueryRow(cctx, "SELECT pg_postmaster_start_time()").Scan(&started); err != nil {
		return err
	}
	var tenure *Tenure
	for ctx.Err() == nil {
		*n++
		a, accepts, err := p.try(ctx, conn, m.Name, *n)
		p.noteAccepts(m, accepts)
		if accepts {
			tenure = p.extend(tenure, a, started)
		} else {
			tenure = nil // the run is broken, whatever broke it
		}
		if conn.IsClosed() {
			return err
		}
		pause(ctx, p.every)
	}
	return nil
}

// extend adds to a tenure, or begins one.
func (p *Probes) extend(t *Tenure, a Ack, postmaster time.Time) *Tenure {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t == nil {
		t = &Tenure{Member: a.Member, Postmaster: postmaster, First: a}
		p.tenures = append(p.tenures, t)
	} else {
		p.slowest = max(p.slowest, a.Acked.Sub(t.Last.Sent))
	}
	t.Last = a
	if !p.looks {
		t.Writes = append(t.Writes, a)
	}
	return t
}

// try writes, or looks, and tells whether the member accepts writes. An error that leaves the connection open is an answer, too.
func (p *Probes) try(ctx context.Context, conn *pgx.Conn, member string, n int64) (a Ack, accepts bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	a = Ack{N: n, Member: member, Sent: time.Now()}
	if p.looks {
		err = conn.QueryRow(ctx, "SELECT NOT pg_is_in_recovery()").Scan(&accepts)
	} else {
		_, err = conn.Exec(ctx, "INSERT INTO "+probesTable+" (run, member, n) VALUES ($1, $2, $3)", p.run, member, n)
		accepts = err == nil
	}
	a.Acked = time.Now()
	return a, accepts && err == nil, err
}

func (p *Probes) noteAccepts(m *Member, accepts bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepts[m.Name] = accepts
}

// accepting are the members that accepted a write, or would have, when they were last asked.
func (p *Probes) accepting() []*Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*Member
	for _, m := range p.c.members {
		if p.accepts[m.Name] {
			all = append(all, m)
		}
	}
	return all
}

// missing counts the acknowledged writes, and those of them that a member, which must be a primary, does not have.
func (p *Probes) missing(ctx context.Context, m *Member) (acknowledged, missing int, err error) {
	type write struct {
		member string
		n      int64
	}
	var acks []write
	for _, t := range p.Tenures() {
		for _, a := range t.Writes {
			acks = append(acks, write{a.Member, a.N})
		}
	}
	if len(acks) == 0 {
		return 0, 0, nil
	}
	conn, err := m.connect(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("count missing writes: %w", err)
	}
	defer closeConn(conn)
	var recovers bool
	if err = conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&recovers); err == nil && recovers {
		err = errors.New(m.Name + " is no primary")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count missing writes: %w", err)
	}
	rows, err := conn.Query(ctx, "SELECT member, n FROM "+probesTable+" WHERE run = $1", p.run)
	if err != nil {
		return 0, 0, fmt.Errorf("count missing writes: %w", err)
	}
	there := map[write]bool{}
	var w write
	if _, err = pgx.ForEachRow(rows, []any{&w.member, &w.n}, func() error { there[w] = true; return nil }); err != nil {
		return 0, 0, fmt.Errorf("count missing writes: %w", err)
	}
	for _, a := range acks {
		if !there[a] {
			missing++
		}
	}
	return len(acks), missing, nil
}

// Tenures are all tenures so far, by the time of their first write.
func (p *Probes) Tenures() []Tenure {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Tenure, 0, len(p.tenures))
	for _, t := range p.tenures {
		c := *t
		c.Writes = slices.Clone(t.Writes)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Tenure) int { return a.First.Acked.Compare(b.First.Acked) })
	return all
}

// Resolution is the longest overlap that could have been missed: the longest time between two writes to one primary.
func (p *Probes) Resolution() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.slowest, p.every)
}

// Overlap looks for members that accepted writes at once.
func (p *Probes) Overlap() Overlap {
	var o Overlap
	all := p.Tenures()
	for i := range all {
		for j := range all {
			if all[i].Member == all[j].Member {
				continue
			}
			o.Writes += all[i].inside(&all[j])
			if d := all[i].common(&all[j]); i < j && d > 0 {
				o.Total += d
				if d > o.Largest {
					o.Largest, o.Between = d, all[i].Member+" and "+all[j].Member
				}
			}
		}
	}
	return o
}

// common is the time in which both were primaries for certain.
func (t *Tenure) common(u *Tenure) time.Duration {
	from, until := t.First.Acked, t.Last.Sent
	if u.First.Acked.After(from) {
		from = u.First.Acked
	}
	if u.Last.Sent.Before(until) {
		until = u.Last.Sent
	}
	return max(0, until.Sub(from))
}

// inside counts the writes of t that u's member, a primary for certain all the while, saw acknowledged elsewhere.
func (t *Tenure) inside(u *Tenure) int {
	n := 0
	for _, a := range t.Writes {
		if !a.Sent.Before(u.First.Acked) && !a.Acked.After(u.Last.Sent) {
			n++
		}
	}
	return n
}
