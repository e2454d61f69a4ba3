package live

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	probesTable = "regent_live_probes"
	probeEvery  = 5 * time.Millisecond
)

// Probes are clients, one for each member, that each try all the time to write to their own member and to no other. They
// tell whether two members ever accepted writes at once.
//
// A tenure is an uninterrupted run of acknowledged writes of one member over one connection. Of each write two instants are
// known, before it was sent and after it was acknowledged, and the server accepted it in between. So a member was a
// primary for certain from the acknowledgement of a tenure's first write to the sending of its last. Overlap counts only what is certain: it
// never accuses wrongly, and it cannot see an overlap shorter than Resolution.
type Probes struct {
	c    *Cluster
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	tenures []*Tenure
	slowest time.Duration // longest time between two writes of one tenure
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
	p := &Probes{c: c}
	table := "CREATE TABLE IF NOT EXISTS " + probesTable + " (member text, n bigint, at timestamptz DEFAULT clock_timestamp())"
	if err := c.onLeader(ctx, table); err != nil {
		return nil, fmt.Errorf("start the probes: %w", err)
	}
	work, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, m := range c.members {
		p.wg.Go(func() { p.probe(work, m) })
	}
	return p, nil
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
		if err := p.session(ctx, m, &n); err != nil {
			pause(ctx, probeEvery) // a server that is down, or a connection that broke, is what probes are there to see
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
		a, err := p.write(ctx, conn, m.Name, *n)
		switch {
		case err != nil:
			tenure = nil // the run is broken, whatever broke it
		case tenure == nil:
			tenure = &Tenure{Member: m.Name, Postmaster: started, First: a, Last: a, Writes: []Ack{a}}
			p.mu.Lock()
			p.tenures = append(p.tenures, tenure)
			p.mu.Unlock()
		default:
			p.mu.Lock()
			p.slowest = max(p.slowest, a.Acked.Sub(tenure.Last.Sent))
			tenure.Last, tenure.Writes = a, append(tenure.Writes, a)
			p.mu.Unlock()
		}
		if conn.IsClosed() {
			return err
		}
		pause(ctx, probeEvery)
	}
	return nil
}

func (p *Probes) write(ctx context.Context, conn *pgx.Conn, member string, n int64) (Ack, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	a := Ack{N: n, Member: member, Sent: time.Now()}
	_, err := conn.Exec(ctx, "INSERT INTO "+probesTable+" (member, n) VALUES ($1, $2)", member, n)
	a.Acked = time.Now()
	return a, err
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
	return max(p.slowest, probeEvery)
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
