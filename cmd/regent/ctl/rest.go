package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

// Answer is a member's answer to a request.
type Answer struct {
	Code int
	Body string
}

// API sends requests to members' REST APIs.
type API interface {
	// Do asks the member whose api_url is given. An error means that there is no answer; ErrNotSent, that
	// the request never left.
	Do(ctx context.Context, apiURL, method, path string, body any) (Answer, error)
}

// ErrNotSent tells that no connection could be made.
var ErrNotSent = errors.New("no connection")

// HTTPAPI is the API over HTTP.
type HTTPAPI struct {
	Client             *http.Client
	Username, Password string
}

const maxAnswerBytes = 16 << 20

// Do sends one request.
func (a *HTTPAPI) Do(ctx context.Context, apiURL, method, path string, body any) (Answer, error) {
	target, err := url.Parse(apiURL)
	if err != nil || target.Host == "" {
		return Answer{}, fmt.Errorf("ask %q: %w: it is no URL", apiURL, ErrNotSent)
	}
	target.Path, target.RawQuery = path, ""
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return Answer{}, fmt.Errorf("ask %s: %w: %w", target, ErrNotSent, err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w: %w", target, ErrNotSent, err)
	}
	if a.Username != "" {
		request.SetBasicAuth(a.Username, a.Password)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.Client.Do(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			return Answer{}, fmt.Errorf("ask %s: %w: %w", target, ErrNotSent, err)
		}
		return Answer{}, fmt.Errorf("ask %s: %w", target, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return Answer{}, fmt.Errorf("read answer of %s: %w", target, err)
	}
	return Answer{response.StatusCode, strings.TrimRight(string(text), "\n")}, nil
}

// RESTSource reads the cluster from one member.
type RESTSource struct {
	API API
	URL string
}

func (r *RESTSource) get(ctx context.Context, path string, into any) (int, error) {
	answer, err := r.API.Do(ctx, r.URL, "GET", path, nil)
	if err != nil {
		return 0, err
	}
	if answer.Code == http.StatusOK {
		if err := json.Unmarshal([]byte(answer.Body), into); err != nil {
			return 0, fmt.Errorf("read %s of %s: %w", path, r.URL, err)
		}
	}
	return answer.Code, nil
}

func (r *RESTSource) must(ctx context.Context, path string, into any) error {
	code, err := r.get(ctx, path, into)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("read %s of %s: status code=%d", path, r.URL, code)
	}
	return err
}

// Cluster reads /cluster, and the system identifier from /patroni.
func (r *RESTSource) Cluster(ctx context.Context) (*Cluster, error) {
	c := &Cluster{}
	if err := r.must(ctx, "/cluster", &c.Cluster); err != nil {
		return nil, err
	}
	var status struct {
		SystemID string `json:"database_system_identifier"`
	}
	if err := r.must(ctx, "/patroni", &status); err != nil {
		return nil, err
	}
	if status.SystemID != "" {
		c.SystemID = &status.SystemID
	}
	return c, nil
}

// Config reads /config.
func (r *RESTSource) Config(ctx context.Context) (Document, error) {
	var doc json.RawMessage
	code, err := r.get(ctx, "/config", &doc)
	if err != nil {
		return Document{}, err
	}
	switch code {
	case http.StatusOK:
		return Document{Value: doc}, nil
	case http.StatusBadGateway, http.StatusNotFound:
		return Document{}, nil
	}
	return Document{}, fmt.Errorf("read /config of %s: status code=%d", r.URL, code)
}

// PutConfig sends what differs between old and doc as a patch, so that nothing else is overwritten.
func (r *RESTSource) PutConfig(ctx context.Context, doc json.RawMessage, old Document) error {
	before, err := decodeDocument(old.Value)
	if err != nil {
		return err
	}
	after, err := decodeDocument(doc)
	if err != nil {
		return err
	}
	answer, err := r.API.Do(ctx, r.URL, "PATCH", "/config", difference(before, after))
	if err != nil {
		return err
	}
	switch answer.Code {
	case http.StatusOK:
		return nil
	case http.StatusConflict:
		return ErrConcurrent
	}
	return fmt.Errorf("change configuration through %s: status code=%d, (%s)", r.URL, answer.Code, answer.Body)
}

// History reads /history.
func (r *RESTSource) History(ctx context.Context) ([]events.HistoryRow, error) {
	var rows []events.HistoryRow
	return rows, r.must(ctx, "/history", &rows)
}

// PutFailover is not possible.
func (r *RESTSource) PutFailover(context.Context, events.FailoverRecord, *Cluster) error {
	return ErrNoStore
}

// Noticed asks every member; one that does not answer is left out.
func (r *RESTSource) Noticed(ctx context.Context) (map[string]bool, error) {
	c, err := r.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	notices := map[string]bool{}
	for _, m := range c.Members {
		var status struct {
			Pause bool `json:"pause"`
		}
		one := &RESTSource{r.API, m.APIURL}
		asked, cancel := context.WithTimeout(ctx, 2*time.Second)
		code, err := one.get(asked, "/patroni", &status)
		cancel()
		if err == nil && code == http.StatusOK {
			notices[m.Name] = status.Pause
		}
	}
	return notices, nil
}

// Close has nothing to do.
func (r *RESTSource) Close() error { return nil }
