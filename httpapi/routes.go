package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// table lists the doors. GET's serve HEAD and OPTIONS too.
func (s *Server) table() map[string]map[string]door {
	return map[string]map[string]door{
		http.MethodGet: {
			"liveness": s.liveness, "readiness": s.readiness, "patroni": s.patroni, "cluster": s.cluster,
			"history": s.history, "config": s.getConfig, "failsafe": s.getFailsafe, "regent": s.regent,
		},
		http.MethodPatch: {"config": s.patchConfig},
		http.MethodPut:   {"config": s.putConfig},
		http.MethodPost: {
			"reload": s.reload, "restart": s.restart, "reinitialize": s.reinitialize,
			"switchover": s.switchover, "failover": s.failover,
			"failsafe": s.postFailsafe, "citus": s.acceptMPP, "mpp": s.acceptMPP, "sigterm": s.sigterm,
		},
		http.MethodDelete: {"restart": s.deleteRestart, "switchover": s.deleteSwitchover},
	}
}

// firstSegment is what stands between the first and the second slash of the path as it was sent.
func firstSegment(u *url.URL) string {
	segment, _, _ := strings.Cut(strings.TrimLeft(u.EscapedPath(), "/"), "/")
	return segment
}

func (s *Server) health(r *http.Request, p *picture) answer {
	return statusAnswer(p, p.healthCode(r.URL.EscapedPath(), r.URL.Query(), s.doors.Now()))
}

// FreshQuery asks GET /patroni for positions that are no older than the request: an election must not be decided on
// those of a second ago. Patroni's members ignore it.
const FreshQuery = "fresh"

// freshWithin bounds the wait for a new look; then the latest picture has to do.
const freshWithin = 500 * time.Millisecond

func (s *Server) patroni(r *http.Request, p *picture) answer {
	if _, fresh := r.URL.Query()[FreshQuery]; fresh {
		ctx, cancel := context.WithTimeout(r.Context(), freshWithin)
		defer cancel()
		p = newPicture(s.doors.Fresh(ctx))
	}
	return statusAnswer(p, http.StatusOK)
}

func statusAnswer(p *picture, code int) answer {
	body, err := p.statusJSON()
	if err != nil {
		return failure(http.StatusInternalServerError, err.Error())
	}
	return answer{code: code, contentType: typeJSON, body: body}
}

func (s *Server) liveness(_ *http.Request, p *picture) answer {
	return answer{code: p.livenessCode(s.doors.Now())}
}

func (s *Server) readiness(r *http.Request, p *picture) answer {
	return answer{code: p.readinessCode(r.URL.Query(), s.doors.Now())}
}

// viewCode is 503 while the view may be old (H11).
func viewCode(p *picture) int {
	if !p.DCSReachable {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func (s *Server) cluster(_ *http.Request, p *picture) answer {
	return value(viewCode(p), ClusterJSON(&p.View, p.Member.Scope))
}

func (s *Server) history(_ *http.Request, p *picture) answer {
	rows := p.View.History
	if rows == nil {
		rows = []events.HistoryRow{}
	}
	return value(viewCode(p), rows)
}

func (s *Server) getFailsafe(_ *http.Request, p *picture) answer {
	if !p.modes.failsafe {
		return failure(http.StatusBadGateway, "")
	}
	members := p.View.Failsafe
	if members == nil {
		members = map[string]string{}
	}
	return value(http.StatusOK, members)
}

// postFailsafe never accepts (H12): the primary that asks must then give up at its deadline.
func (s *Server) postFailsafe(r *http.Request, p *picture) answer {
	if _, refusal := readBody(r, true); refusal != nil {
		return *refusal
	}
	if p.modes.failsafe && p.role() == rolePrimary {
		return text(http.StatusInternalServerError, "Running as a leader")
	}
	return failure(http.StatusBadGateway, "")
}

func (s *Server) acceptMPP(r *http.Request, _ *picture) answer {
	if _, refusal := readBody(r, true); refusal != nil {
		return *refusal
	}
	return text(http.StatusOK, "OK")
}

func (s *Server) sigterm(*http.Request, *picture) answer {
	return text(http.StatusAccepted, "shutdown scheduled")
}

func (s *Server) reload(_ *http.Request, _ *picture) answer {
	if err := s.doors.Reload(); err != nil {
		s.log.Warn("reload", zap.Error(err))
		return echo(http.StatusInternalServerError, "reload is not possible: "+err.Error())
	}
	return text(http.StatusAccepted, "reload scheduled")
}

// readBody reads a JSON object, or an empty one where it is not mandatory.
func readBody(r *http.Request, mandatory bool) (*ordered, *answer) {
	fail := func(code int, message string) (*ordered, *answer) {
		a := failure(code, message)
		return nil, &a
	}
	_, hasLength := r.Header["Content-Length"]
	if !hasLength && r.ContentLength == 0 {
		if mandatory {
			return fail(http.StatusLengthRequired, "")
		}
		return &ordered{}, nil
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return fail(http.StatusRequestEntityTooLarge, "")
		}
		return fail(http.StatusBadRequest, "")
	}
	if len(raw) == 0 && !mandatory {
		return &ordered{}, nil
	}
	o, err := parseOrdered(raw)
	if err != nil {
		return fail(http.StatusBadRequest, err.Error())
	}
	if mandatory && len(o.fields) == 0 {
		return fail(http.StatusBadRequest, "want a JSON object that is not empty")
	}
	return o, nil
}

// readView reads the cluster's keys from the DCS.
func (s *Server) readView(ctx context.Context) (*events.View, error) {
	ctx, cancel := context.WithTimeout(ctx, dcsTimeout(s.gallery.look()))
	defer cancel()
	snapshot, err := s.doors.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	v := events.ParseView(snapshot)
	return &v, nil
}

// put writes a key of the DCS, within the time that such a write may take.
func (s *Server) put(ctx context.Context, key, value string, expect int64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, dcsTimeout(s.gallery.look()))
	defer cancel()
	revision, err := s.doors.Put(ctx, key, value, expect)
	if err != nil {
		s.log.Warn("write to the DCS for a REST request", zap.String("key", key), zap.Error(err))
	}
	return revision, err
}
