package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

const memberCount = 3

// Timing are the three settings that decide how fast a cluster is.
type Timing struct {
	TTL, LoopWait, RetryTimeout int // seconds
}

// The timings of the demo. Patroni's defaults are 30, 10 and 10 seconds; a demo should not make people wait.
var (
	ViewTiming   = Timing{TTL: 10, LoopWait: 2, RetryTimeout: 3}
	ScriptTiming = Timing{TTL: 5, LoopWait: 1, RetryTimeout: 1}
)

func (t Timing) String() string {
	return fmt.Sprintf("ttl %d s, loop_wait %d s, retry_timeout %d s", t.TTL, t.LoopWait, t.RetryTimeout)
}

func (t Timing) dynamic() (string, error) {
	b, err := json.Marshal(map[string]int{"ttl": t.TTL, "loop_wait": t.LoopWait, "retry_timeout": t.RetryTimeout})
	return string(b), err
}

// Options say how the demo runs.
type Options struct {
	Dir    string
	User   string // that root runs the members as
	Port   int    // the first one; zero: free ones
	Timing Timing
	Keep   bool // the members' directory is kept at the end
	Plain  bool // lines instead of a view, also on a terminal
	In     *os.File
	Out    *os.File
}

// session is a cluster in a home.
type session struct {
	o       Options
	home    *home
	cluster *live.Cluster
	began   time.Time
	kept    string // where the members' directory was kept
}

// open checks the machine, takes the directory and starts the members. It does not wait for what the members do.
func open(ctx context.Context, o Options, say func(string)) (*session, error) {
	if err := checkMachine(&o); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own program: %w", err)
	}
	dynamic, err := o.Timing.dynamic()
	if err != nil {
		return nil, err
	}
	s := &session{o: o, began: time.Now()}
	if s.home, err = openHome(ctx, o.Dir, say); err != nil {
		return nil, err
	}
	say("starting three members with the embedded store ...")
	s.cluster, err = live.Start(ctx, live.Options{
		Dir: s.home.cluster(), Binary: self, Store: live.Embedded, Dynamic: dynamic, Members: memberCount, BasePort: o.Port,
		Log: io.Discard, KeepOnFail: o.Keep, User: o.User,
	})
	if err != nil {
		err = fmt.Errorf("start the members: %w", err)
		if o.Port != 0 {
			err = fmt.Errorf("%w\n(another first port can be chosen with --port, free ones with --port 0)", err)
		}
		return nil, errors.Join(err, s.home.close())
	}
	return s, nil
}

// noteMemory records the shared memory of the PostgreSQLs that run now.
func (s *session) noteMemory() error {
	var found []live.SharedMemory
	for _, m := range s.cluster.Members() {
		if mem, _, err := m.Postmaster(); err == nil { // no file: no PostgreSQL
			found = append(found, mem)
		}
	}
	return s.home.note(found)
}

// close ends every process and removes every file, or keeps the members' directory under another name.
func (s *session) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanLimit)
	defer cancel()
	errs := []error{s.noteMemory()}
	_, err := live.Quench(ctx, s.home.cluster(), quenchPatient)
	if s.o.Keep {
		s.cluster.Failed()
	}
	errs = append(errs, err, s.cluster.Close())
	if s.o.Keep {
		s.kept = fmt.Sprintf("%s-kept-%s", s.home.dir, s.began.Format("20060102-150405"))
		errs = append(errs, os.Rename(s.home.cluster(), s.kept))
	}
	errs = append(errs, s.home.close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("end the demo: %w", err)
	}
	return nil
}

// addresses tells how to look at the members from another terminal.
func (s *session) addresses() string {
	text := fmt.Sprintf("regent list -c %s\n", s.cluster.ConfigFile())
	for _, m := range s.cluster.Members() {
		text += fmt.Sprintf("%s  REST %s  psql '%s'\n", m.Name, m.APIURL, m.DSN())
	}
	return text
}
