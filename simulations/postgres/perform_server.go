package postgres

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// requireControl says why pg_control tells nothing.
func (s *Server) requireControl() string {
	switch {
	case s.content == empty || s.content == invalid:
		return "read pg_control: no such file or directory"
	case s.unreadable:
		return "pg_control has an unknown layout or a wrong checksum"
	}
	return ""
}

// start is Driver.Start.
func (w *work) start(a events.StartPostgres) {
	s := w.s
	if s.Running() {
		w.alreadyStarted(a)
		return
	}
	why := s.requireControl()
	switch {
	case s.unfinished != "":
		why = "the data directory holds an unfinished " + s.unfinished
	case s.half:
		why = "a rewind did not end"
	case why == "" && a.AsPrimary && (s.control.state == shutDownInRecovery || s.control.state == inArchiveRecovery):
		why = "it was a replica: pg_control says " + s.control.state
	}
	if why != "" {
		w.fail(why)
		return
	}
	s.KillAll() // what a dead postmaster left
	if s.dying {
		w.fail(waitsForDisk)
		return
	}
	s.upstream = nil
	if !a.AsPrimary {
		s.upstream = s.c.of(a.From)
	}
	if why := s.launch(!a.AsPrimary); why != "" {
		w.after(w.takes(50*time.Millisecond), func() { w.fail(why) })
		return
	}
	w.awaitReady()
}

func (w *work) alreadyStarted(a events.StartPostgres) {
	s := w.s
	switch {
	case s.phase == shutting || s.phase == draining:
		w.fail("the server is running and about to stop")
		return
	case s.standbySignal == a.AsPrimary:
		w.fail("the server is running in the other role")
		return
	case !a.AsPrimary:
		s.follow(s.c.of(a.From))
	}
	w.awaitReady()
}

func (w *work) awaitReady() {
	w.look = func() {
		switch w.s.phase {
		case up:
			w.look = nil
			w.after(5*time.Millisecond, func() { w.ok(events.Result{}) })
		case down: // after the last of its processes
			w.fail("the server ended while it started")
		}
	}
	w.look()
}

// stop is Driver.Stop: it signals, escalates, and kills at the deadline. When it is cancelled the server goes on stopping.
func (w *work) stop(mode events.StopMode, escalate time.Duration) {
	if w.fails() && mode != events.StopKill {
		w.after(w.takes(20*time.Millisecond), func() { w.fail("by chance") })
		return
	}
	w.stopServer(mode, escalate, w.ok)
}

func (w *work) stopServer(mode events.StopMode, escalate time.Duration, then func(events.Result)) {
	s := w.s
	ended := func() {
		w.look, w.expire = nil, nil
		r := events.Result{}
		if mode == events.StopFast && s.control.state == shutDown && s.content == present {
			r.ShutdownLSN = s.control.checkpoint
		}
		w.after(2*time.Millisecond, func() { then(r) })
	}
	if s.phase == orphaned {
		s.KillAll()
	}
	if s.phase == down {
		ended()
		return
	}
	w.look = func() {
		switch s.phase {
		case down:
			ended()
		case orphaned: // killed by another; what is left is swept
			w.after(time.Millisecond, s.KillAll)
		}
	}
	var stays func(left time.Duration)
	stays = func(left time.Duration) {
		switch {
		case w.look == nil: // it was seen to end
		case s.phase == down: // one that has no turn hears of no changes
			ended()
		case left <= 0:
			w.look, w.expire = nil, nil
			w.fail("a killed process is still there")
		default:
			w.after(100*time.Millisecond, func() { stays(left - 100*time.Millisecond) })
		}
	}
	w.expire = func() {
		w.report("did not stop by the deadline, killing it")
		if _, stop := w.action.(events.StopPostgres); !stop {
			then = func(events.Result) { w.fail("context deadline exceeded") }
		}
		w.expire = nil
		s.KillAll()
		switch {
		case w.look == nil:
		case s.phase == down: // a stop that is no effect of its own turn hears of no changes
			ended()
		case s.dying:
			w.fail(waitsForDisk)
		}
		stays(killGrace)
	}
	if escalate > 0 && mode == events.StopFast {
		w.after(escalate, func() {
			if s.phase != down {
				w.report("did not stop in time, stopping at once")
				s.signal(events.StopImmediate)
			}
		})
	}
	s.signal(mode)
	if s.phase == down && w.look != nil {
		ended()
	}
	if mode == events.StopKill {
		stays(killGrace)
	}
}

// killGrace is how long the driver waits for processes that it has killed.
const killGrace = 5 * time.Second

// restart is Driver.Restart.
func (w *work) restart(a events.RestartPostgres) {
	w.stopServer(events.StopFast, 0, func(events.Result) { w.start(events.StartPostgres(a)) })
}

// promote is Driver.Promote. One that fails by chance was lost, kills the server, or is done all the same.
func (w *work) promote() {
	s := w.s
	switch {
	case !s.Running() || s.phase == shutting || s.phase == draining:
		w.fail("the server is not running")
		return
	case s.disk == DiskReadOnly || s.disk == DiskFull:
		w.fail("could not create file \"promote\": " + s.disk.refuses())
		return
	}
	how := -1
	if w.fails() {
		how = s.c.Pick("how promote fails", 3)
	}
	if how == 0 {
		w.after(w.takes(s.c.Timing.Promote), func() { w.fail("the request was lost") })
		return
	}
	answer := func() {
		w.look, w.abort = nil, nil
		w.after(5*time.Millisecond, func() {
			if how == 2 {
				w.fail("the answer was lost")
				return
			}
			rows := s.History()
			w.ok(events.Result{Timeline: s.Timeline(), History: rows})
		})
	}
	if !s.recovery && s.phase == up {
		answer()
		return
	}
	w.abort = func() {
		if !s.promoteSeen {
			s.promoteAsked = false
		}
	}
	w.look = func() {
		switch {
		case s.phase == up && !s.recovery:
			answer()
		case s.phase == down || s.phase == orphaned:
			w.fail("it ended while it was promoted")
		}
	}
	s.askPromote()
	if how == 1 {
		w.after(w.takes(s.c.Timing.Promote/2), s.Kill)
	}
}

// follow is Driver.Follow, by a reload.
func (w *work) follow(from events.Upstream) {
	s := w.s
	switch {
	case !s.Running():
		w.fail("the server is not running")
		return
	case !s.standbySignal:
		w.fail("the server is a primary")
		return
	}
	s.follow(s.c.of(from))
	w.ok(events.Result{})
}

func (s *Server) follow(from *Server) {
	if s.upstream == from {
		return
	}
	s.upstream = from
	s.refusal, s.lastTry, s.tryAt = "", 0, 0
	s.c.Changed()
}

// ask says why the server does not answer its own driver.
func (s *Server) ask() string {
	switch {
	case !s.Running():
		return "the server is not running"
	case s.phase != up:
		return "the database system is starting up or shutting down"
	case s.full:
		return "sorry, too many clients already"
	}
	return ""
}

// asked waits for a server that hangs, until the deadline, and then does something in it.
func (w *work) asked(do func()) {
	if w.s.hung {
		w.after(50*time.Millisecond, func() { w.asked(do) })
		return
	}
	if why := w.s.ask(); why != "" {
		w.fail(why)
		return
	}
	do()
}

func (w *work) checkpoint() {
	w.asked(func() {
		w.after(w.takes(w.s.c.Timing.Checkpoint), func() {
			w.asked(func() {
				w.s.checkpointNow()
				w.ok(events.Result{})
			})
		})
	})
}

// checkpointNow is the command CHECKPOINT.
func (s *Server) checkpointNow() {
	s.settle()
	if s.recovery {
		s.restartpoint()
		return
	}
	if s.disk == DiskWell && s.phase == up {
		s.checkpoint(inProduction)
		s.nextPoint = s.now().Add(s.c.Timing.CheckpointEach)
	}
}

func (w *work) syncSlots(a events.SyncSlots) {
	w.asked(func() {
		s := w.s
		keep := map[string]bool{}
		for _, m := range a.Members {
			name := slotName(m)
			keep[name] = true
			if s.useSlots && m != s.name {
				s.createSlot(name)
			}
		}
		why := ""
		for _, m := range a.Drop {
			name := slotName(m)
			x := s.slot(name)
			switch {
			case x == nil || keep[name]:
			case s.user(x) != nil:
				why = "drop slot " + name + ": it is in use"
			default:
				s.dropSlot(name)
			}
		}
		if why != "" {
			w.fail(why)
			return
		}
		w.ok(events.Result{})
	})
}

// restartParameters need a restart; the values are PostgreSQL's defaults, or the driver's.
var restartParameters = map[string]string{
	"max_connections": "100", "max_worker_processes": "8", "max_prepared_transactions": "0", "max_wal_senders": "10",
	"max_locks_per_transaction": "64", "max_replication_slots": "10", "track_commit_timestamp": "off", "wal_level": "replica",
	"wal_log_hints": "on", "shared_buffers": "128MB", "archive_mode": "off",
}

// restartNames are those names in order.
var restartNames = slices.Sorted(maps.Keys(restartParameters))

// applyConfig is Driver.ApplyConfig.
func (w *work) applyConfig(document json.RawMessage) {
	if err := w.s.configure(document); err != nil {
		w.fail(err.Error())
		return
	}
	w.ok(events.Result{})
}

// configure takes from the dynamic configuration what matters here.
func (s *Server) configure(document json.RawMessage) error {
	var doc struct {
		PostgreSQL struct {
			UseSlots   any            `json:"use_slots"`
			Parameters map[string]any `json:"parameters"`
		} `json:"postgresql"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return fmt.Errorf("dynamic configuration: %w", err)
	}
	on, ok := events.ParseBool(doc.PostgreSQL.UseSlots)
	s.useSlots = on || !ok
	s.walKeep = s.c.Timing.KeepWAL
	wanted := map[string]string{}
	names := ""
	for name, v := range doc.PostgreSQL.Parameters { // each name is a case of its own: the order does not matter
		text := strings.Trim(fmt.Sprint(v), " ")
		switch _, restart := restartParameters[name]; {
		case restart:
			wanted[name] = text
		case name == "synchronous_standby_names":
			names = text
		case name == "wal_keep_size":
			if n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(text, "MB"))); err == nil {
				s.walKeep = events.LSN(n) << 20
			}
		}
	}
	s.parameters = wanted
	if s.phase == down {
		s.inForce = wanted
	}
	if err := s.SetSync(names); err != nil {
		return nil // the parameter is left out, with a warning
	}
	s.c.Changed()
	return nil
}
