package pgdriver

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a failure that an operator can mend. Hint says how.
type Error struct {
	Op   string
	Err  error
	Hint string
}

// Error names the operation and the cause.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint returns what an operator should do about err, or the empty string.
func Hint(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// The causes that callers ask for.
var (
	// ErrNotClean tells that the stopped server was not shut down cleanly: its newest WAL is only
	// known after crash recovery.
	ErrNotClean = errors.New("the server was not shut down cleanly")
	// ErrNotRunning tells that the effect needs a running server.
	ErrNotRunning = errors.New("the server is not running")
	// ErrRunning tells that the effect needs a stopped server.
	ErrRunning = errors.New("the server is running")
	// ErrNotEmpty tells that the data directory holds something.
	ErrNotEmpty = errors.New("the data directory is not empty")
	// ErrNotPrimary tells that the server asked to be the source is in recovery.
	ErrNotPrimary = errors.New("the server is in recovery, not a primary")
	// ErrSystemID tells that the other server belongs to a different database cluster.
	ErrSystemID = errors.New("the system identifiers differ")
	// ErrNoConnection tells that no connection to the server is held.
	ErrNoConnection = errors.New("no connection to the server")
)

func hinted(op string, err error, hint string, args ...any) error {
	return &Error{Op: op, Err: err, Hint: fmt.Sprintf(hint, args...)}
}

// redact removes the configured passwords from a text that PostgreSQL or one of its programs wrote.
func (c *Config) redact(text string) string {
	for _, cred := range []Credentials{c.Superuser, c.Replication, c.Rewind} {
		if len(cred.Password) > 2 {
			text = strings.ReplaceAll(text, cred.Password, "********")
		}
	}
	return text
}
