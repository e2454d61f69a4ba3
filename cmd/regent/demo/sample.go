package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
	"github.com/regent-ha/regent/simulations/live"
)

const (
	sampleEvery   = 300 * time.Millisecond
	sampleLimit   = 700 * time.Millisecond // for one member's answer
	keptDecisions = 200
	rateSpan      = 2 * time.Second
	noticeFor     = 8 * time.Second
)

// answer is what a member said in one round.
type answer struct {
	status httpapi.RegentStatus
	node   httpapi.NodeStatus
	ok     bool
}

// sampler collects pictures. Its rounds are for one goroutine, picture for any.
type sampler struct {
	cluster *live.Cluster
	client  *httpapi.Client
	noted   func([]live.SharedMemory) error

	leaseEnd map[string]time.Time
	newest   map[string]engine.Decided
	progress live.Progress
	rates    []rate

	mu       sync.Mutex
	writer   *live.Writer
	current  Picture
	noticeAt time.Time
}

type rate struct {
	at    time.Time
	acked int
}

func newSampler(c *live.Cluster, timing string, noted func([]live.SharedMemory) error) (*sampler, error) {
	client, err := httpapi.NewClient(httpapi.ClientConfig{Timeout: sampleLimit})
	if err != nil {
		return nil, err
	}
	s := &sampler{cluster: c, client: client, noted: noted, leaseEnd: map[string]time.Time{}, newest: map[string]engine.Decided{}}
	s.current = Picture{Scope: live.Scope, Store: "embedded", Timing: timing}
	for i, m := range c.Members() {
		s.current.Members = append(s.current.Members, Member{Number: i + 1, Name: m.Name, Agent: ProcessRuns, Lag: -1})
	}
	return s, nil
}

// run collects until ctx ends; after each round it calls done.
func (s *sampler) run(ctx context.Context, done func()) error {
	defer s.client.Close()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if err := s.round(ctx); err != nil {
			return err
		}
		done()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *sampler) round(ctx context.Context) error {
	members := s.cluster.Members()
	answers := make([]answer, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { answers[i] = s.ask(ctx, m) })
	}
	wg.Wait()
	now := time.Now()
	alive := make([]bool, len(members))
	var memory []live.SharedMemory
	for i, m := range members {
		if mem, runs, err := m.Postmaster(); err == nil { // no file: no PostgreSQL
			alive[i] = runs
			memory = append(memory, mem)
		}
	}
	if err := s.noted(memory); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.current
	p.At = now
	leader, paused, known := newestWord(answers)
	if known {
		p.Leader, p.Paused = leader, paused
	}
	end := leaderPosition(answers, p.Leader)
	for i, m := range members {
		s.fold(&p.Members[i], m, &answers[i], alive[i], end, now)
	}
	s.countWrites(now)
	return nil
}

func (s *sampler) ask(ctx context.Context, m *live.Member) answer {
	var a answer
	var err error
	if a.status, err = s.client.RegentStatus(ctx, m.APIURL); err != nil {
		return a
	}
	if a.node, err = s.client.Patroni(ctx, m.APIURL); err != nil {
		return a
	}
	a.ok = true
	return a
}

// newestWord asks who leads and whether the cluster is paused: the member that has seen the newest revision of the store knows best.
func newestWord(answers []answer) (leader string, paused, known bool) {
	var revision uint64
	for _, a := range answers {
		if a.ok && a.status.DCS.Reachable && (!known || a.status.DCS.Revision > revision) {
			leader, paused, known, revision = a.status.Leader, a.status.Paused, true, a.status.DCS.Revision
		}
	}
	return leader, paused, known
}

func leaderPosition(answers []answer, leader string) events.LSN {
	for _, a := range answers {
		if a.ok && a.status.Name == leader {
			return position(&a.node)
		}
	}
	return 0
}

func position(n *httpapi.NodeStatus) events.LSN {
	if n.Xlog == nil {
		return 0
	}
	var at events.LSN
	for _, l := range []*events.LSN{n.Xlog.Location, n.Xlog.ReceivedLocation, n.Xlog.ReplayedLocation} {
		if l != nil {
			at = max(at, *l)
		}
	}
	return at
}

// fold takes a member's answer, or its silence, into the picture.
func (s *sampler) fold(v *Member, m *live.Member, a *answer, alive bool, end events.LSN, now time.Time) {
	v.Answers, v.PostgresRuns, v.Agent = a.ok, alive, ProcessRuns
	switch {
	case m.AgentPID() == 0:
		v.Agent = ProcessDown
	case m.AgentFrozen():
		v.Agent = ProcessFrozen
	}
	if a.ok {
		st := &a.status
		v.State, v.Role, v.Postgres, v.Fence, v.Rule, v.Why = st.State, st.Role, st.Postgres, st.FenceStrength, st.Rule, st.Why
		v.Timeline, v.Lag = 0, -1
		if a.node.Timeline != nil {
			v.Timeline = uint32(*a.node.Timeline)
		}
		if at := position(&a.node); at != 0 && end != 0 {
			v.Lag = max(0, int64(end)-int64(at))
		}
		delete(s.leaseEnd, m.Name)
		if st.Lease.Held {
			s.leaseEnd[m.Name] = now.Add(time.Duration(st.Lease.LeftMilli) * time.Millisecond)
		}
		s.addDecisions(m.Name, st.Recent)
	}
	v.LeaseLeft = max(0, s.leaseEnd[m.Name].Sub(now))
}

// addDecisions takes in the decisions that were not seen yet. A restarted agent counts from one again, so the time
// comes first.
func (s *sampler) addDecisions(member string, recent []engine.Decided) {
	last := s.newest[member]
	for _, d := range recent {
		if d.Wall < last.Wall || d.Wall == last.Wall && d.Seq <= last.Seq {
			continue
		}
		last = d
		s.append(Decision{At: time.Unix(0, d.Wall), Member: member, Rule: string(d.Rule), To: string(d.To), Why: d.Why})
	}
	s.newest[member] = last
}

// append adds a decision in order of time, and forgets the oldest.
func (s *sampler) append(d Decision) {
	all := append(slices.Clone(s.current.Decisions), d)
	slices.SortStableFunc(all, func(a, b Decision) int { return a.At.Compare(b.At) })
	s.current.Decisions = all[max(0, len(all)-keptDecisions):]
}

func (s *sampler) countWrites(now time.Time) {
	if s.writer == nil {
		return
	}
	s.progress.Read(s.writer)
	s.rates = append(s.rates, rate{now, s.progress.Acked})
	for len(s.rates) > 2 && now.Sub(s.rates[0].at) > rateSpan {
		s.rates = s.rates[1:]
	}
	w := &s.current.Writes
	if first := s.rates[0]; now.After(first.at) {
		w.PerSecond = float64(s.progress.Acked-first.acked) / now.Sub(first.at).Seconds()
	}
	w.Last, w.Gap, w.Longest = uint64(s.progress.Last), 0, s.progress.Longest
	if !s.progress.At.IsZero() {
		w.Gap = max(0, now.Sub(s.progress.At))
		w.Longest = max(w.Longest, w.Gap)
	}
}

// setWriter tells whose writes to count.
func (s *sampler) setWriter(w *live.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer = w
}

// say shows the outcome of an order, as a notice and among the decisions.
func (s *sampler) say(member, text string, bad bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Notice, s.current.Bad, s.noticeAt = text, bad, time.Now()
	s.append(Decision{At: time.Now(), Member: member, Why: text})
}

// choose sets whom the keys are for.
func (s *sampler) choose(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.current
	n := k.Choose
	if !k.Choice {
		for i, m := range p.Members {
			if m.Name == p.Target || p.Target == "" && m.Name == p.Leader {
				n = i + 1
			}
		}
		n = (n-1+k.Move+len(p.Members))%len(p.Members) + 1
	}
	switch {
	case n == 0:
		p.Target = ""
	case n <= len(p.Members):
		p.Target = p.Members[n-1].Name
	default:
		p.Notice, p.Bad, s.noticeAt = fmt.Sprintf("there is no member %d", n), true, time.Now()
	}
}

// picture is a copy of the newest picture.
func (s *sampler) picture(began time.Time) Picture {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.current
	p.Up = time.Since(began)
	if time.Since(s.noticeAt) > noticeFor {
		p.Notice = ""
	}
	p.Members, p.Decisions = slices.Clone(p.Members), slices.Clone(p.Decisions)
	return p
}
