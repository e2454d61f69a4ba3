package nats

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/regent-ha/regent/backends"
)

// Headers of messages in the bucket.
const (
	tokenHeader     = "Regent-Token" // names one lease or one write, so that it is known again
	operationHeader = "KV-Operation"
	markerHeader    = "Nats-Marker-Reason" // set by the server when a TTL ended
	rollupHeader    = "Nats-Rollup"
	ttlHeader       = "Nats-TTL"
	opPurge         = "PURGE"
	opDelete        = "DEL"
)

// attemptTimeout bounds one request, so that one which went to a server that died or hangs is sent again
// within the time that the caller gave.
const attemptTimeout = 1500 * time.Millisecond

// errUnavailable marks a request that for certain had no effect and may be repeated: it was not sent,
// or nobody was there to take it.
var errUnavailable = fmt.Errorf("nats is unavailable: %w", backends.ErrNotApplied)

// message is a write to one key.
type message struct {
	subject string // as stored
	value   []byte
	ttl     time.Duration // whole seconds; zero: for ever
	remove  bool          // a marker of deletion
	token   string
}

// stored is the last message of a key, as the stream holds it. The zero value is a key without any.
type stored struct {
	seq   uint64
	live  bool // holds a value: neither absent nor a marker
	value string
	token string
}

// link is one connection and the bucket as reached by it.
type link struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	api    string // prefix of the subjects of JetStream's requests
	prefix string // that takes a write to another JetStream domain
	name   string // of the stream
	stream jetstream.Stream

	mu       sync.Mutex
	attempts map[*attempt]struct{}
	lost     chan struct{} // closed when the connection breaks
	down     bool          // between a break and the next connection
	closed   chan struct{} // closed when it has ended for good
}

// attempt is a request under way, so that the server's later "permissions violation" finds it.
type attempt struct {
	subject string
	cancel  context.CancelCauseFunc
}

// onError takes the connection's asynchronous errors.
func (l *link) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for a := range l.attempts {
		if strings.Contains(err.Error(), `"`+a.subject+`"`) {
			a.cancel(fmt.Errorf("%w: %w", backends.ErrDenied, err))
		}
	}
}

// onDisconnect wakes whoever watches the connection.
func (l *link) onDisconnect(*nats.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.lost)
	l.lost, l.down = make(chan struct{}), true
}

// onReconnect lets requests pass again.
func (l *link) onReconnect(*nats.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// broken is closed when the connection breaks the next time.
func (l *link) broken() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// begin bounds a request on subject and enters it among the attempts. Without a connection the request is over
// at once: the client holds its lock while it greets a server, which may be a frozen one, and
// would keep callers waiting for it beyond their contexts.
func (l *link) begin(ctx context.Context, subject string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timed, stop := context.WithTimeout(ctx, attemptTimeout)
	a := &attempt{subject, cancel}
	l.mu.Lock()
	l.attempts[a] = struct{}{}
	if l.down {
		cancel(fmt.Errorf("%w: %w", errUnavailable, nats.ErrConnectionReconnecting))
	}
	l.mu.Unlock()
	return timed, func() {
		l.mu.Lock()
		delete(l.attempts, a)
		l.mu.Unlock()
		stop()
		cancel(nil)
	}
}

// always is the condition of a write without one.
const always = -1

// publish writes a message once, if the key's last message has the sequence expect (zero: there is
// none), and returns its own. Errors: ErrConflict; errUnavailable;
// ErrNotApplied and ErrDenied when the server refused it; anything else is an unclear outcome.
func (l *link) publish(ctx context.Context, m message, expect int64) (uint64, error) {
	msg := nats.NewMsg(l.prefix + m.subject)
	msg.Data = m.value
	msg.Header.Set(tokenHeader, m.token)
	if m.remove {
		msg.Header.Set(operationHeader, opPurge)
		msg.Header.Set(rollupHeader, jetstream.MsgRollupSubject)
	}
	if m.ttl > 0 {
		msg.Header.Set(ttlHeader, strconv.FormatInt(int64(m.ttl/time.Second), 10)+"s")
	}
	opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0), jetstream.WithExpectStream(l.name)}
	if expect != always {
		opts = append(opts, jetstream.WithExpectLastSequencePerSubject(uint64(expect)))
	}
	ctx, end := l.begin(ctx, msg.Subject)
	defer end()
	ack, err := l.js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return 0, sortError(ctx, err)
	}
	return ack.Sequence, nil
}

// last reads a key's last message through the stream's leader. A leader that was deposed and does not
// know it yet may answer with the past.
func (l *link) last(ctx context.Context, subject string) (stored, error) {
	return l.get(ctx, func(ctx context.Context, s jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return s.GetLastMsgForSubject(ctx, subject)
	})
}

// get performs one read through the stream's leader; nothing found is the zero value.
func (l *link) get(ctx context.Context, read func(context.Context, jetstream.Stream) (*jetstream.RawStreamMsg, error)) (stored, error) {
	raw, err := l.raw(ctx, read)
	if err != nil || raw == nil {
		return stored{}, err
	}
	return storedOf(raw.Sequence, raw.Header, raw.Data), nil
}

func (l *link) raw(ctx context.Context, read func(context.Context, jetstream.Stream) (*jetstream.RawStreamMsg, error)) (*jetstream.RawStreamMsg, error) {
	ctx, end := l.begin(ctx, l.api+"STREAM.MSG.GET."+l.name)
	defer end()
	raw, err := read(ctx, l.stream)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, sortError(ctx, err)
	}
	return raw, nil
}

func storedOf(seq uint64, h nats.Header, data []byte) stored {
	op := h.Get(operationHeader)
	return stored{
		seq: seq, value: string(data), token: h.Get(tokenHeader),
		live: op != opPurge && op != opDelete && h.Get(markerHeader) == "",
	}
}

// sortError gives an error of a request its class.
func sortError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, backends.ErrDenied) || errors.Is(cause, errUnavailable) {
		return cause
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting) {
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return fmt.Errorf("%w: %w", backends.ErrNotApplied, err)
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch {
	case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return fmt.Errorf("%w: %w", backends.ErrConflict, err)
	case api.Code == 401 || api.Code == 403:
		return fmt.Errorf("%w: %w", backends.ErrDenied, err)
	case api.Code == 503:
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	return fmt.Errorf("%w: %w", backends.ErrNotApplied, err)
}

// newToken names a lease or a write.
func newToken() string {
	var b [12]byte
	rand.Read(b[:]) // never fails, says its documentation
	return hex.EncodeToString(b[:])
}

// wholeSeconds rounds up to the resolution of the server, at least one second.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d+time.Second-1)/time.Second*time.Second, time.Second)
}

// pacer waits between attempts, longer each time.
type pacer struct{ next time.Duration }

// wait returns false when ctx ended.
func (p *pacer) wait(ctx context.Context) bool {
	p.next = min(max(2*p.next, 4*time.Millisecond), 250*time.Millisecond)
	t := time.NewTimer(p.next)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
