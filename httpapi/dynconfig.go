package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// defaultDCSTimeout bounds an access to the DCS until settings are known.
const defaultDCSTimeout = 10 * time.Second

func dcsTimeout(p *picture) time.Duration {
	if p == nil || p.Settings.RetryTimeout <= 0 {
		return defaultDCSTimeout
	}
	return p.Settings.RetryTimeout
}

func (s *Server) getConfig(_ *http.Request, p *picture) answer {
	if p.View.Config == nil {
		return failure(http.StatusBadGateway, "")
	}
	o, err := parseOrdered(p.View.Config)
	if err != nil {
		return failure(http.StatusBadGateway, "")
	}
	b, err := o.MarshalJSON()
	if err != nil {
		return failure(http.StatusBadGateway, "")
	}
	return document(http.StatusOK, b)
}

// patchConfig merges the body into the dynamic configuration, and writes it if nobody else did since.
func (s *Server) patchConfig(r *http.Request, _ *picture) answer {
	change, refusal := readBody(r, true)
	if refusal != nil {
		return *refusal
	}
	view, err := s.readView(r.Context())
	if err != nil {
		s.log.Warn("read the dynamic configuration", zap.Error(err))
		return failure(http.StatusServiceUnavailable, "the DCS could not be read")
	}
	if view.Config == nil {
		return failure(http.StatusServiceUnavailable, "there is no dynamic configuration yet")
	}
	doc, err := parseOrdered(view.Config)
	if err != nil {
		return failure(http.StatusServiceUnavailable, "the dynamic configuration can not be read")
	}
	changed, err := doc.merge(change)
	if err != nil {
		return failure(http.StatusBadRequest, err.Error())
	}
	b, err := doc.MarshalJSON()
	if err != nil {
		return failure(http.StatusBadRequest, err.Error())
	}
	if refusal := checkSettings(b, view.Config); refusal != nil {
		return *refusal
	}
	if changed {
		if _, err := s.put(r.Context(), events.KeyConfig, string(b), int64(view.ConfigRevision)); err != nil {
			return writeFailed(err, http.StatusServiceUnavailable)
		}
	}
	return document(http.StatusOK, b)
}

// putConfig replaces the dynamic configuration, if nobody else did since it was read.
func (s *Server) putConfig(r *http.Request, _ *picture) answer {
	doc, refusal := readBody(r, true)
	if refusal != nil {
		return *refusal
	}
	b, err := doc.MarshalJSON()
	if err != nil {
		return failure(http.StatusBadRequest, err.Error())
	}
	if refusal := checkSettings(b, nil); refusal != nil {
		return *refusal
	}
	view, err := s.readView(r.Context())
	if err != nil {
		s.log.Warn("read the dynamic configuration", zap.Error(err))
		return failure(http.StatusBadGateway, "the DCS could not be read")
	}
	if view.Config == nil || !sameText(view.Config, b) {
		if _, err := s.put(r.Context(), events.KeyConfig, string(b), int64(view.ConfigRevision)); err != nil {
			return writeFailed(err, http.StatusBadGateway)
		}
	}
	return document(http.StatusOK, b)
}

func writeFailed(err error, code int) answer {
	if errors.Is(err, ErrConflict) {
		return failure(http.StatusConflict, "the configuration was changed by somebody else in the meantime: read it again")
	}
	return failure(code, "the configuration could not be written")
}

// checkSettings refuses a document with wrong values (H4), but for those that before had already.
func checkSettings(doc, before json.RawMessage) *answer {
	_, wrong := events.ParseSettings(doc, events.DefaultSettings())
	if len(wrong) == 0 {
		return nil
	}
	known := map[string]bool{}
	if before != nil {
		_, old := events.ParseSettings(before, events.DefaultSettings())
		for _, e := range old {
			known[e.Error()] = true
		}
	}
	var lines []string
	for _, e := range wrong {
		if !known[e.Error()] {
			lines = append(lines, e.Error())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	a := echo(http.StatusBadRequest, strings.Join(lines, "\n"))
	return &a
}
