package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	writesTable  = "regent_live_writes"
	connectLimit = 2 * time.Second
	writeLimit   = time.Second
	retryPause   = 5 * time.Millisecond  // between two rounds over all members
	lanePause    = 25 * time.Millisecond // between two attempts to connect to a member: each makes a server start a process
)

// Ack is a write that PostgreSQL acknowledged.
type Ack struct {
	N           int64
	Member      string
	Sent, Acked time.Time
}

// Writer is a client that writes numbers, one after the other and each only once, to whichever member accepts
// them. It holds a connection to every member that answers, so that a failover costs it no more than the
// next attempt; attempts are five milliseconds apart, and a write without an answer is given up after a second. A number whose
// outcome is unknown does not count as acknowledged.
type Writer struct {
	c     *Cluster
	run   int64
	every time.Duration
	lanes []*lane

	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	acks  []Ack
	ended bool
}

// lane keeps a connection to one member open.
type lane struct {
	m    *Member
	conn chan *pgx.Conn // holds the connection while nobody uses it
	lost chan struct{}  // asks for another
}

func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		cctx, cancel := context.WithTimeout(ctx, connectLimit)
		conn, err := l.m.connect(cctx)
		cancel()
		if err != nil {
			pause(ctx, lanePause)
			continue
		}
		l.conn <- conn // has room: the one before was lost
		select {
		case <-l.lost:
		case <-ctx.Done():
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// StartWriter makes the table and starts to write. Stop ends it.
func StartWriter(ctx context.Context, c *Cluster, every time.Duration) (*Writer, error) {
	w := &Writer{c: c, run: rand.Int64(), every: every}
	table := "CREATE TABLE IF NOT EXISTS " + writesTable + " (run bigint, n bigint, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (run, n))"
	if err := c.onLeader(ctx, table); err != nil {
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	work, stop := context.WithCancel(context.Background())
	w.stop = stop
	for _, m := range c.members {
		l := &lane{m: m, conn: make(chan *pgx.Conn, 1), lost: make(chan struct{}, 1)}
		w.lanes = append(w.lanes, l)
		w.wg.Go(func() { l.run(work) })
	}
	w.wg.Go(func() { w.write(work) })
	if err := w.Resumed(ctx, time.Now()); err != nil {
		w.Stop()
		return nil, fmt.Errorf("start the writer: %w", err)
	}
	return w, nil
}

// onLeader runs a statement on the leader, and again on the next if there is a change in between.
func (c *Cluster) onLeader(ctx context.Context, sql string) error {
	for {
		m, err := c.WaitLeader(ctx, nil)
		if err == nil {
			err = m.Exec(ctx, sql)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, askPause)
	}
}

// Stop ends the writer. What it recorded can be asked afterwards.
func (w *Writer) Stop() {
	w.stop()
	w.wg.Wait()
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	for _, l := range w.lanes {
		select {
		case conn := <-l.conn:
			closeConn(conn)
		default:
		}
	}
}

func (w *Writer) write(ctx context.Context) {
	at, n := 0, int64(0)
	for ctx.Err() == nil {
		began := time.Now()
		accepted := false
		for range w.lanes {
			n++
			if accepted = w.attempt(ctx, w.lanes[at], n); accepted {
				break
			}
			at = (at + 1) % len(w.lanes)
		}
		if accepted {
			pause(ctx, w.every-time.Since(began))
		} else {
			pause(ctx, retryPause)
		}
	}
}

// attempt writes a number to one member, if there is a connection to it.
func (w *Writer) attempt(ctx context.Context, l *lane, n int64) bool {
	var conn *pgx.Conn
	select {
	case conn = <-l.conn:
	default:
		return false
	}
	sent := time.Now()
	wctx, cancel := context.WithTimeout(ctx, writeLimit)
	_, err := conn.Exec(wctx, "INSERT INTO "+writesTable+" (run, n) VALUES ($1, $2)", w.run, n)
	cancel()
	acked := time.Now()
	w.mu.Lock()
	if err == nil {
		w.acks = append(w.acks, Ack{N: n, Member: l.m.Name, Sent: sent, Acked: acked})
	}
	w.mu.Unlock()
	if conn.IsClosed() {
		l.lost <- struct{}{}
		return false
	}
	l.conn <- conn
	return err == nil
}

// Acks are the acknowledged writes so far, oldest first.
func (w *Writer) Acks() []Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Ack(nil), w.acks...)
}

// Resumed waits until a write was acknowledged that was sent after since.
func (w *Writer) Resumed(ctx context.Context, since time.Time) error {
	err := poll(ctx, time.Millisecond, func() (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.acks) > 0 && w.acks[len(w.acks)-1].Sent.After(since), nil
	})
	if err != nil {
		return fmt.Errorf("wait for an acknowledged write: %w: %s", err, w.c.describe())
	}
	return nil
}

// Gap is the longest span between two acknowledged writes of which the later came after since. The time since the last one
// counts too, so that writes that never come back are no short gap.
func (w *Writer) Gap(since time.Time) time.Duration {
	acks := w.Acks()
	longest := time.Duration(0)
	for i := 1; i < len(acks); i++ {
		if acks[i].Acked.After(since) {
			longest = max(longest, acks[i].Acked.Sub(acks[i-1].Acked))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(acks) > 0 && !w.ended {
		longest = max(longest, time.Since(acks[len(acks)-1].Acked))
	}
	return longest
}

// Missing counts the acknowledged numbers that the current leader does not have.
func (w *Writer) Missing(ctx context.Context) (int, error) {
	acks := w.Acks()
	m, err := w.c.WaitLeader(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("count missing writes: %w", err)
	}
	there, err := w.numbersOn(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("count missing writes: %w", err)
	}
	missing := 0
	for _, a := range acks {
		if !there[a.N] {
			missing++
		}
	}
	return missing, nil
}

func (w *Writer) numbersOn(ctx context.Context, m *Member) (map[int64]bool, error) {
	conn, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	rows, err := conn.Query(ctx, "SELECT n FROM "+writesTable+" WHERE run = $1 AND NOT pg_is_in_recovery()", w.run)
	if err != nil {
		return nil, err
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return nil, errors.New(m.Name + " has none of them, or is no primary any more")
	}
	there := make(map[int64]bool, len(numbers))
	for _, n := range numbers {
		there[n] = true
	}
	return there, nil
}
