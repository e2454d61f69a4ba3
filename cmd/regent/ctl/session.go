package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/regent-ha/regent/internal/config"
)

// Options are common to all verbs.
type Options struct {
	ConfigFile string // a file or directory, as the agent's; empty: the default files, then the environment
	DCSURL     string // [scheme://][host][:port][/namespace], replaces the store of the file
	URL        string // a member's REST API; the store is then not touched
	Insecure   bool   // do not verify servers' certificates
	Strict     bool   // exit codes tell whether the order was carried out
	// Timeout bounds an order that a member carries out before it answers. Reads have 10 s.
	Timeout time.Duration

	In       io.Reader
	Out, Err io.Writer
}

// Exit codes beyond 0 and 1. The last two only with Options.Strict.
const (
	ExitUsage   = 2
	ExitFailed  = 3
	ExitUnknown = 4
)

// ExitError ends the program with a code. An empty Message prints nothing more.
type ExitError struct {
	Code    int
	Message string
}

func (e *ExitError) Error() string { return e.Message }

// fail is the end of a verb that could not be carried out.
func fail(format string, args ...any) error {
	return &ExitError{Code: 1, Message: fmt.Sprintf(format, args...)}
}

// Session is one run of one verb.
type Session struct {
	Options
	Config *config.Config
	Scope  string
	Source Source
	API    API
	// Now is the wall clock.
	Now func() time.Time
	// Sleep waits, or ends with ctx's error.
	Sleep func(ctx context.Context, d time.Duration) error

	lines   *lineReader
	outcome int // ExitFailed or ExitUnknown once an order was not carried out
}

const readTimeout = 10 * time.Second

// NewSession makes a session of parts: tests give their own.
func NewSession(o Options, source Source, api API, scope string) *Session {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Minute
	}
	return &Session{
		Options: o, Source: source, API: api, Scope: scope, Now: time.Now, lines: &lineReader{in: o.In},
		Sleep: func(ctx context.Context, d time.Duration) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
				return nil
			}
		},
	}
}

// Close ends the connection to the store.
func (s *Session) Close() error {
	if s.Source == nil {
		return nil
	}
	return s.Source.Close()
}

// Outcome is the error to end with after a verb that itself went well: with Strict, the order's fate.
func (s *Session) Outcome() error {
	if s.Strict && s.outcome != 0 {
		return &ExitError{Code: s.outcome}
	}
	return nil
}

// notDone notes that an order failed, or that its outcome is not known.
func (s *Session) notDone(code int) { s.outcome = max(s.outcome, code) }

func (s *Session) printf(format string, args ...any) {
	s.print(fmt.Sprintf(format, args...))
}

// print writes to the person. A broken pipe ends the program through the next read or the signal; there is
// nobody left to tell.
func (s *Session) print(text string) {
	_, _ = io.WriteString(s.Out, text+"\n")
}

func (s *Session) warnf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Err, format+"\n", args...)
}

// timestamp is the wall time as patronictl prints it before results.
func (s *Session) timestamp() string {
	return s.Now().Format("2006-01-02 15:04:05.000000")[:25]
}

// ask sends an order to a member and reads its answer.
func (s *Session) ask(ctx context.Context, apiURL, method, path string, body any) (Answer, error) {
	limit := readTimeout
	if method != "GET" {
		limit = s.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.API.Do(ctx, apiURL, method, path, body)
}

// cluster reads the cluster now.
func (s *Session) cluster(ctx context.Context) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	c, err := s.Source.Cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("read cluster %s: %w", s.Scope, err)
	}
	return c, nil
}

// ExitCode is the code for an error, and the text to print before.
func ExitCode(err error) (code int, message string) {
	var exit *ExitError
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &exit):
		return exit.Code, exit.Message
	}
	return 1, err.Error()
}

// errCode tells whether a request without an answer can have been carried out.
func errCode(err error) int {
	if errors.Is(err, ErrNotSent) {
		return ExitFailed
	}
	return ExitUnknown
}
