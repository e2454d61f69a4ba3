package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/backends"
)

// errUnfit marks a refusal that no repetition will change.
var errUnfit = errors.New("unfit")

// markerTTL is how long a marker of a deletion stays. It must outlast every silence after which a
// watcher still believes to have seen everything.
const markerTTL = time.Minute

// leastFirstSeq is the smallest first sequence that Open takes for one made of the time: 2001 in microseconds.
const leastFirstSeq = 1_000_000_000_000_000

// checkVersion refuses servers without a TTL per message.
func checkVersion(version, server string) error {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errMajor := strconv.Atoi(major)
	y, errMinor := strconv.Atoi(minor)
	if errMajor == nil && errMinor == nil && (x > 2 || x == 2 && y >= 11) {
		return nil
	}
	return fmt.Errorf("%w: nats-server %q at %s keeps no ttl per key: upgrade all servers to 2.11 or newer", errUnfit, version, server)
}

// ensureBucket makes the bucket exist and be as leases need it.
func (s *Store) ensureBucket(ctx context.Context) error {
	account, err := s.account(ctx)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("%w: enable jetstream on the servers and for this account: %w", backends.ErrNotApplied, err)
	case err == nil && account.API.Level < 1:
		return fmt.Errorf("%w: the jetstream api level is %d, per-key ttl needs 1: upgrade all servers to 2.11 or newer", errUnfit, account.API.Level)
	case err != nil:
		return fmt.Errorf("ask for the jetstream account: %w", err)
	}
	stream, err := s.lookAt(ctx, s.ops)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return s.createBucket(ctx)
	}
	if err != nil {
		return err
	}
	return s.correctBucket(ctx, stream.CachedInfo().Config)
}

// account asks what the account may do with JetStream, in a bounded time.
func (s *Store) account(ctx context.Context) (*jetstream.AccountInfo, error) {
	ctx, end := s.ops.begin(ctx, s.ops.api+"INFO")
	defer end()
	info, err := s.ops.js.AccountInfo(ctx)
	if err != nil {
		return nil, sortError(ctx, err)
	}
	return info, nil
}

// lookAt asks for the stream, in a bounded time.
func (s *Store) lookAt(ctx context.Context, l *link) (jetstream.Stream, error) {
	ctx, end := l.begin(ctx, l.api+"STREAM.INFO."+l.name)
	defer end()
	stream, err := l.js.Stream(ctx, l.name)
	if err != nil {
		return nil, fmt.Errorf("look at bucket %s: %w", s.cfg.Bucket, sortError(ctx, err))
	}
	return stream, nil
}

// createBucket makes the stream. Members may race: the first one's first sequence stands.
func (s *Store) createBucket(ctx context.Context) error {
	cfg := s.wanted()
	ctx, end := s.ops.begin(ctx, s.ops.api+"STREAM.CREATE."+s.ops.name)
	defer end()
	_, err := s.ops.js.CreateStream(ctx, cfg)
	switch {
	case err == nil:
		s.log.Info("created bucket", zap.String("bucket", s.cfg.Bucket), zap.Int("replicas", cfg.Replicas), zap.Uint64("first_seq", cfg.FirstSeq))
		return nil
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
		return fmt.Errorf("%w: another member was first to create bucket %s", backends.ErrNotApplied, s.cfg.Bucket)
	}
	return fmt.Errorf("create bucket %s with %d replicas: %w", s.cfg.Bucket, cfg.Replicas, sortError(ctx, err))
}

// wanted is the stream of a new bucket.
func (s *Store) wanted() jetstream.StreamConfig {
	replicas := s.cfg.Replicas
	if replicas == 0 {
		if replicas = 1; s.ops.nc.ConnectedClusterName() != "" {
			replicas = 3
		}
	}
	cfg := jetstream.StreamConfig{
		Name: s.ops.name, Description: "regent: leases and state of PostgreSQL clusters",
		Subjects: []string{"$KV." + s.cfg.Bucket + ".>"},
		Storage:  jetstream.FileStorage, Replicas: replicas,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1,
		Discard: jetstream.DiscardNew, DenyDelete: true, Duplicates: 2 * time.Minute,
		// A revision must never come twice, not even when the bucket is deleted and made again.
		FirstSeq: uint64(time.Now().UnixMicro()),
	}
	require(&cfg)
	return cfg
}

// require sets what leases depend on.
func require(cfg *jetstream.StreamConfig) {
	cfg.MaxMsgsPerSubject = 1
	cfg.AllowDirect, cfg.MirrorDirect = false, false
	cfg.AllowRollup, cfg.DenyPurge = true, false
	cfg.AllowMsgTTL = true
	cfg.SubjectDeleteMarkerTTL = max(cfg.SubjectDeleteMarkerTTL, markerTTL)
}

// correctBucket changes an existing stream where leases need it otherwise, and refuses one that
// cannot be made sound.
func (s *Store) correctBucket(ctx context.Context, is jetstream.StreamConfig) error {
	remedy := "delete it and let regent create it, or choose another bucket"
	if is.FirstSeq < leastFirstSeq {
		return fmt.Errorf("%w: the sequences of bucket %s begin at %d and would come again if it were recreated, "+
			"so that an old lease could pass for a new one: %s", errUnfit, s.cfg.Bucket, is.FirstSeq, remedy)
	}
	if is.MaxAge != 0 || is.Mirror != nil || is.Sealed || is.NoAck {
		return fmt.Errorf("%w: bucket %s has a max_age, is a mirror, sealed or without acknowledgements: %s", errUnfit, s.cfg.Bucket, remedy)
	}
	want := is
	require(&want)
	if s.cfg.Replicas != 0 {
		want.Replicas = s.cfg.Replicas
	}
	if is.MaxMsgsPerSubject == 1 && !is.AllowDirect && is.AllowRollup && !is.DenyPurge && is.AllowMsgTTL &&
		is.SubjectDeleteMarkerTTL == want.SubjectDeleteMarkerTTL && is.Replicas == want.Replicas {
		return nil
	}
	ctx, end := s.ops.begin(ctx, s.ops.api+"STREAM.UPDATE."+s.ops.name)
	defer end()
	if _, err := s.ops.js.UpdateStream(ctx, want); err != nil {
		return fmt.Errorf("make bucket %s fit for leases: %w", s.cfg.Bucket, sortError(ctx, err))
	}
	s.log.Info("changed bucket to what leases need", zap.String("bucket", s.cfg.Bucket), zap.Int("replicas", want.Replicas))
	return nil
}
