package httpapi

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// CompatVersion is the Patroni version whose doors these are. It is what tools compare.
const CompatVersion = "4.1.4"

// ErrConflict is what Doors.Put returns (wrapped) when its condition did not hold and nothing was written.
var ErrConflict = errors.New("condition does not hold")

// Doors is what the server needs of the member it stands before. All methods may be called from many goroutines.
type Doors interface {
	// Status is the latest published picture, never modified; nil before the first.
	Status() *engine.Status
	// Now reads the boot clock, WallNow the wall clock.
	Now() events.Instant
	WallNow() time.Time
	// Wait returns the first picture that satisfies, the present one included, or ctx's error.
	Wait(ctx context.Context, satisfies func(*engine.Status) bool) (*engine.Status, error)
	// Fresh returns a picture whose look at PostgreSQL began after the call, or the latest one when ctx ends.
	Fresh(ctx context.Context) *engine.Status
	// Ask hands an order to the engine and returns its answer.
	Ask(ctx context.Context, r events.OperatorRequest) (events.AnswerOperator, error)
	// Put writes a key of the cluster under a condition and returns its revision. Expect is a revision, zero
	// for absent, or events.Any.
	Put(ctx context.Context, key, value string, expect int64) (uint64, error)
	// Snapshot reads the cluster's keys, linearizably.
	Snapshot(ctx context.Context) (events.DCSSnapshot, error)
	// Reload asks for the local configuration to be read again, and returns before it is in force.
	Reload() error
}

// Peers asks other members for their state. *Client does.
type Peers interface {
	PeerStatus(ctx context.Context, p events.Peer) events.PeerStatus
}

// VerifyClient says whether clients must show a certificate.
type VerifyClient string

// The values of restapi.verify_client. Optional: only for unsafe methods. Required: for every connection.
const (
	VerifyNone     VerifyClient = "none"
	VerifyOptional VerifyClient = "optional"
	VerifyRequired VerifyClient = "required"
)

// Config is the section restapi of the local configuration.
type Config struct {
	// Listen is host:port; an empty host or * is all addresses.
	Listen string
	// ConnectAddress is the host:port that others reach the server at, for messages only.
	ConnectAddress string
	// Username and Password, when set, are asked for by every unsafe method.
	Username, Password string
	// CertFile switches to https. KeyFile may be empty when CertFile holds the key too.
	CertFile, KeyFile string
	// CAFile is what clients' certificates are verified with; the system's store when empty.
	CAFile       string
	VerifyClient VerifyClient
	// Allowlist holds the hosts, addresses and networks that may use unsafe methods; everybody when it is empty and
	// AllowlistIncludeMembers is false.
	Allowlist               []string
	AllowlistIncludeMembers bool
	ExtraHeaders            map[string]string
	// ServerTokens is Original, Minimal or ProductOnly: what the Server header tells.
	ServerTokens string
	// Peers is how candidates are asked before a switchover; a client without credentials when nil.
	Peers Peers
	Log   *zap.Logger

	limits limits // the default ones when zero
}
