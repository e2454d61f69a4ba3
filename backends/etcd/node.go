package etcd

import (
	"context"
	"math"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"

	"github.com/regent-ha/regent/events"
)

// lane is a connection of its own for one kind of request, so that one never waits behind the other.
type lane int

const (
	leaseLane lane = iota
	dataLane
	lanes
)

// node is one etcd server with our connections to it.
type node struct {
	addr  string
	conns [lanes]*grpc.ClientConn
	// term is the raft term that the server told last.
	term atomic.Uint64
	// suspect is until when the server is tried after all others.
	suspect atomic.Int64
}

// suspicion is how long a server that did not answer is tried last.
const suspicion = 5 * time.Second

// unackedLimit is after how long a connection is given up whose data the peer's kernel does not
// acknowledge. Without it, recovery from a cut network waits for TCP's own backoff.
const unackedLimit = 2 * time.Second

func dial(t target, dialTimeout time.Duration) (*node, error) {
	n := &node{addr: t.addr}
	creds := insecure.NewCredentials()
	if t.tls != nil {
		creds = credentials.NewTLS(t.tls)
	}
	for l := range n.conns {
		conn, err := grpc.NewClient("passthrough:///"+t.addr,
			grpc.WithTransportCredentials(creds),
			grpc.WithContextDialer(dialer(dialTimeout)),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
				MinConnectTimeout: dialTimeout,
			}),
			grpc.WithDisableRetry(),
			grpc.WithDisableServiceConfig(),
			grpc.WithIdleTimeout(0),
			grpc.WithStatsHandler(sentHandler{}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		)
		if err != nil {
			return nil, closeAfter(n, err)
		}
		n.conns[l] = conn
		conn.Connect()
	}
	return n, nil
}

func closeAfter(n *node, err error) error {
	if cerr := n.close(); cerr != nil {
		return cerr
	}
	return err
}

func dialer(timeout time.Duration) func(context.Context, string) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedLimit.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return set
	}}
	return func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
}

func (n *node) close() error {
	var first error
	for _, c := range n.conns {
		if c == nil {
			continue
		}
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (n *node) kv(l lane) clientv3.KV {
	return clientv3.NewKVFromKVClient(pb.NewKVClient(n.conns[l]), nil)
}

func (n *node) lease() pb.LeaseClient { return pb.NewLeaseClient(n.conns[leaseLane]) }

func (n *node) auth() pb.AuthClient { return pb.NewAuthClient(n.conns[dataLane]) }

func (n *node) watch() pb.WatchClient { return pb.NewWatchClient(n.conns[dataLane]) }

// saw notes the server's term.
func (n *node) saw(h *pb.ResponseHeader) {
	if h != nil && h.RaftTerm != 0 {
		n.term.Store(h.RaftTerm)
	}
}

func (n *node) suspectAt(now events.Instant) bool { return now < events.Instant(n.suspect.Load()) }

// sentHandler notes in a call's context that the request was given to the transport: a failure of a
// call without that note was not applied, for sure (C9).
type sentHandler struct{}

type sentKey struct{}

func withSentNote(ctx context.Context) (context.Context, *atomic.Bool) {
	note := new(atomic.Bool)
	return context.WithValue(ctx, sentKey{}, note), note
}

func (sentHandler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutPayload); !ok {
		return
	}
	if note, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		note.Store(true)
	}
}

func (sentHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (sentHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (sentHandler) HandleConn(context.Context, stats.ConnStats) {}
