package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// orderTimeout bounds how long a request waits for the engine's answer to an order. A restart waits for
// shutdown checkpoints and crash recovery, so it is long; the order itself goes on after it.
const orderTimeout = time.Hour

// ask hands an order to the engine, and answers what the engine answers.
func (s *Server) ask(ctx context.Context, req events.OperatorRequest, failed string) answer {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	req.ID = s.nextID()
	got, err := s.doors.Ask(ctx, req)
	if err == nil && (got.Code < 200 || got.Code > 599) {
		err = errors.New("the engine's answer has no status code")
	}
	if err != nil {
		s.log.Warn("order by REST", zap.String("request", req.ID), zap.String("verb", string(req.Verb)), zap.Error(err))
		return text(http.StatusServiceUnavailable, failed)
	}
	return text(got.Code, got.Body)
}

func (s *Server) restart(r *http.Request, p *picture) answer {
	body, refusal := readBody(r, false)
	if refusal != nil {
		return *refusal
	}
	req, refusal := parseRestart(body, p.modes.pause, s.doors.WallNow())
	if refusal != nil {
		return *refusal
	}
	return s.ask(r.Context(), req, "restart failed")
}

// parseRestart checks the body in its own order; the first failure counts.
func parseRestart(body *ordered, paused bool, now time.Time) (events.OperatorRequest, *answer) {
	req := events.OperatorRequest{Verb: events.AskRestart}
	if paused && body.has("schedule") {
		return req, refuse(http.StatusBadRequest, "Can't schedule restart in the paused state")
	}
	for _, f := range body.fields {
		if refusal := restartField(&req, f, now); refusal != nil {
			return req, refusal
		}
	}
	return req, nil
}

func restartField(req *events.OperatorRequest, f field, now time.Time) *answer {
	bad := func(message string) *answer {
		a := echo(http.StatusBadRequest, message)
		return &a
	}
	switch f.key {
	case "schedule":
		t, refusal := parseSchedule(f.value, "restart", now)
		if refusal != nil {
			return refusal
		}
		req.ScheduledAt, req.ScheduledUnix = isoTime(t), t.UnixNano()
	case "role":
		req.Role = textOf(f.value)
		if req.Role != rolePrimary && req.Role != roleStandby && req.Role != roleReplica {
			return bad("PostgreSQL role should be either primary, standby_leader, or replica")
		}
	case "postgres_version":
		v, err := parseVersion(textOf(f.value))
		if err != nil {
			return bad(err.Error())
		}
		req.PostgresVersion = v
	case "timeout":
		seconds, ok := parseSeconds(f.value)
		if !ok || seconds <= 0 {
			return bad("Timeout should be a positive number of seconds")
		}
		req.TimeoutSeconds = seconds
	case "restart_pending":
		on, ok := boolOf(f.value)
		if !ok {
			return bad("restart_pending should be true or false")
		}
		req.RestartPending = on
	default:
		return bad("Unknown filter for the scheduled restart: " + f.key)
	}
	return nil
}

func boolOf(raw json.RawMessage) (value, ok bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return false, false
	}
	return events.ParseBool(v)
}

func (s *Server) deleteRestart(r *http.Request, _ *picture) answer {
	return s.ask(r.Context(), events.OperatorRequest{Verb: events.AskUnscheduleRestart}, "restart is still scheduled")
}

func (s *Server) reinitialize(r *http.Request, _ *picture) answer {
	body, refusal := readBody(r, false)
	if refusal != nil {
		return *refusal
	}
	req := events.OperatorRequest{Verb: events.AskReinitialize}
	for _, f := range body.fields {
		var into *bool
		switch f.key {
		case "force":
			into = &req.Force
		case "from_leader", "from-leader":
			into = &req.FromLeader
		default:
			continue
		}
		on, ok := boolOf(f.value)
		if !ok && !isNull(f.value) {
			return echo(http.StatusBadRequest, f.key+" should be true or false")
		}
		*into = on
	}
	return s.ask(r.Context(), req, "reinitialize failed")
}
