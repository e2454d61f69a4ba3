package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

const (
	actSwitchover = "switchover"
	actFailover   = "failover"
	// askTimeout bounds the question to candidates.
	askTimeout = 3 * time.Second
)

// changeOrder is an order to change the leader.
type changeOrder struct {
	action            string
	leader, candidate string
	scheduledAt       string // ISO 8601, empty for now
}

func (o *changeOrder) title() string { return strings.ToUpper(o.action[:1]) + o.action[1:] }

func (s *Server) switchover(r *http.Request, p *picture) answer { return s.change(actSwitchover, r, p) }
func (s *Server) failover(r *http.Request, p *picture) answer   { return s.change(actFailover, r, p) }

func (s *Server) change(action string, r *http.Request, p *picture) answer {
	body, refusal := readBody(r, true)
	if refusal != nil {
		return *refusal
	}
	o, candidates, refusal := checkSwitchover(action, body, p, s.doors.WallNow())
	if refusal != nil {
		return *refusal
	}
	if action != o.action {
		s.log.Warn("a failover with a leader is a switchover", zap.String("leader", o.leader), zap.String("candidate", o.candidate))
	}
	if o.scheduledAt == "" && !s.anyGood(r.Context(), p, candidates) {
		return text(http.StatusPreconditionFailed, o.action+" is not possible: no good candidates have been found")
	}
	record, err := encode(events.FailoverRecord{Leader: o.leader, Candidate: o.candidate, ScheduledAt: o.scheduledAt})
	if err != nil {
		return failure(http.StatusInternalServerError, err.Error())
	}
	revision, err := s.put(r.Context(), events.KeyFailover, string(record), events.Any)
	if err != nil {
		return text(http.StatusServiceUnavailable, "failed to write failover key into DCS")
	}
	if o.scheduledAt != "" {
		return text(http.StatusAccepted, o.title()+" scheduled")
	}
	return s.awaitChange(r.Context(), o, p, revision)
}

// checkSwitchover decides, without asking anybody, whether the order can be tried: the first check that
// fails answers. For an order without schedule it names the members of whom one must be fit.
func checkSwitchover(action string, body *ordered, p *picture, now time.Time) (changeOrder, []events.Peer, *answer) {
	o := changeOrder{action: action}
	if refusal := o.read(body); refusal != nil {
		return o, nil, refusal
	}
	bad := func(message string) (changeOrder, []events.Peer, *answer) {
		return o, nil, refuse(http.StatusBadRequest, message)
	}
	switch {
	case action == actFailover && o.candidate == "":
		return bad("Failover could be performed only to a specific candidate")
	case action == actSwitchover && o.leader == "":
		return bad("Switchover could be performed only from a specific leader")
	}
	if at := body.get("scheduled_at"); at != nil && !isNull(at) && textOf(at) != "" {
		if action == actFailover {
			return bad("Failover can't be scheduled")
		}
		if p.modes.pause {
			return bad("Can't schedule switchover in the paused state")
		}
		t, refusal := parseSchedule(at, action, now)
		if refusal != nil {
			return o, nil, refusal
		}
		o.scheduledAt = isoTime(t)
	}
	if p.modes.pause && o.candidate == "" {
		return bad("Switchover is possible only to a specific candidate in a paused state")
	}
	if o.leader != "" {
		o.action = actSwitchover
	}
	if o.leader == o.candidate {
		return bad("Switchover target and source are the same")
	}
	if o.scheduledAt != "" {
		return o, nil, nil
	}
	peers, problem := candidates(&o, &p.View, p.modes)
	if problem != "" {
		return o, nil, refuse(http.StatusPreconditionFailed, problem)
	}
	return o, peers, nil
}

func (o *changeOrder) read(body *ordered) *answer {
	var err, errMember error
	o.leader, err = body.stringOf("leader")
	if err == nil {
		o.candidate, err = body.stringOf("candidate")
	}
	if o.candidate == "" {
		o.candidate, errMember = body.stringOf("member")
	}
	if err = errors.Join(err, errMember); err != nil {
		a := failure(http.StatusBadRequest, err.Error())
		return &a
	}
	return nil
}

// candidates names the members that the order could be for, or says why there is none.
func candidates(o *changeOrder, view *events.View, m modes) ([]events.Peer, string) {
	if o.leader != "" && view.Leader != o.leader {
		return nil, "leader name does not match"
	}
	onlySync := m.sync && !m.quorum
	if o.candidate != "" {
		if o.action == actSwitchover && onlySync && !inSync(&view.Sync, o.candidate) {
			return nil, "candidate name does not match with sync_standby"
		}
		r := view.Member(o.candidate)
		if r == nil {
			return nil, "candidate does not exists"
		}
		return []events.Peer{{Name: r.Name, APIURL: r.APIURL}}, ""
	}
	var peers []events.Peer
	for i := range view.Members {
		r := &view.Members[i]
		if onlySync && !inSync(&view.Sync, r.Name) || !onlySync && (r.Name == view.Leader || r.APIURL == "") {
			continue
		}
		peers = append(peers, events.Peer{Name: r.Name, APIURL: r.APIURL})
	}
	switch {
	case len(peers) > 0:
		return peers, ""
	case onlySync:
		return nil, o.action + " is not possible: can not find sync_standby"
	}
	return nil, o.action + " is not possible: cluster does not have members except leader"
}

// fit tells that a member that answered can lead.
func fit(st *events.PeerStatus) bool {
	return st.Reachable && st.Tags.MayLead() && !st.WatchdogFailed
}

// anyGood asks all at once whether one of them is fit, and stops asking when one is.
func (s *Server) anyGood(ctx context.Context, p *picture, peers []events.Peer) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var wg sync.WaitGroup
	answers := make(chan events.PeerStatus, len(peers))
	for _, peer := range peers {
		if peer.Name == p.Member.Name {
			answers <- p.asPeer()
			continue
		}
		wg.Go(func() { answers <- s.peers.PeerStatus(ctx, peer) })
	}
	good := false
	for range peers {
		st := <-answers
		if fit(&st) {
			good = true
			cancel()
		}
	}
	wg.Wait()
	return good
}

// asPeer is what this member would answer itself.
func (p *picture) asPeer() events.PeerStatus {
	server := &p.Postgres.Server
	st := events.PeerStatus{
		Name: p.Member.Name, Reachable: p.Postgres.Answering, Running: p.Postgres.Answering,
		Tags: p.Member.Tags, WatchdogFailed: p.watchdogFailed(),
	}
	if st.Reachable {
		st.Primary, st.Timeline, st.Position = !server.InRecovery, server.Timeline, server.Position()
	}
	return st
}

// awaitChange waits until the view shows what became of the order that was written at revision.
func (s *Server) awaitChange(ctx context.Context, o changeOrder, p *picture, revision uint64) answer {
	old := p.View.Leader
	patience := 2 * max(10*time.Second, p.Settings.LoopWait)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last, err := s.doors.Wait(ctx, func(st *engine.Status) bool {
		moved, gone := outcome(&st.View, old, revision)
		return moved || gone && st.View.Leader != ""
	})
	if err != nil || last == nil {
		if st := s.doors.Status(); st != nil {
			if _, gone := outcome(&st.View, old, revision); gone {
				return text(http.StatusServiceUnavailable, o.title()+" failed")
			}
		}
		return text(http.StatusServiceUnavailable, o.title()+" status unknown")
	}
	if moved, _ := outcome(&last.View, old, revision); !moved {
		return text(http.StatusServiceUnavailable, o.title()+" failed")
	}
	verb, leader := strings.TrimSuffix(o.action, "over"), last.View.Leader
	if o.candidate == "" || o.candidate == leader {
		return text(http.StatusOK, fmt.Sprintf("Successfully %sed over to %q", verb, leader))
	}
	return text(http.StatusOK, fmt.Sprintf("%sed over to %q instead of %q", strings.TrimSuffix(o.title(), "over"), leader, o.candidate))
}

// outcome reads a view: the lease has moved to somebody else; the order is gone. A view from before
// the order was written tells neither.
func outcome(v *events.View, old string, revision uint64) (moved, gone bool) {
	if v.Revision < revision {
		return false, false
	}
	moved = v.Leader != "" && v.Leader != old
	gone = !v.Failover.Pending()
	return moved, gone
}

// deleteSwitchover clears a scheduled switchover, if it is still the one that was read.
func (s *Server) deleteSwitchover(r *http.Request, _ *picture) answer {
	view, err := s.readView(r.Context())
	if err != nil {
		s.log.Warn("read the failover key", zap.Error(err))
		return failure(http.StatusServiceUnavailable, "the DCS could not be read")
	}
	if view.Failover.ScheduledAt == "" || !view.Failover.Pending() {
		return text(http.StatusNotFound, "no switchover is scheduled")
	}
	_, err = s.put(r.Context(), events.KeyFailover, "{}", int64(view.Failover.Revision))
	switch {
	case errors.Is(err, ErrConflict):
		return failure(http.StatusConflict, "the switchover was changed by somebody else in the meantime")
	case err != nil:
		return failure(http.StatusServiceUnavailable, "the failover key could not be written")
	}
	return text(http.StatusOK, "scheduled switchover deleted")
}
