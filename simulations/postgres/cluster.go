package postgres

import (
	"net/url"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/simulations/kernel"
)

// Host is what the world gives. All functions are called on the world's one goroutine.
type Host struct {
	kernel.Env
	// Reaches tells whether packets get from one server's host to another's. Ask for both ways.
	Reaches func(from, to string) bool
	// Refuses tells that a sender learns at once that its packets do not get there; Late is by how much the way takes longer than
	// Timing.Lag. Nil: never, and nothing.
	Refuses func(from, to string) bool
	Late    func(from, to string) time.Duration
	// Exited takes the facts about ends of postmasters: first without Gone, then with it.
	Exited func(server string, f events.PostgresExited)
}

// Timing is how long things take, and how much WAL they make. DefaultTiming's are of small servers on good disks.
type Timing struct {
	Fsync          time.Duration // of a commit on the primary, of received WAL on a replica
	Lag            time.Duration // one way between two servers
	Retry          time.Duration // wal_retrieve_retry_interval; pgdriver writes 500 ms, PostgreSQL's own default is 5 s
	SenderTimeout  time.Duration // wal_sender_timeout and wal_receiver_timeout
	KeepAlive      time.Duration // until a copy or a rewind notices that the host of its source is dead; see givesUp in pgdriver
	Retransmit     time.Duration // how long TCP goes on sending what is new when nobody acknowledges it
	Checkpoint     time.Duration // a checkpoint, also the one at shutdown
	CheckpointEach time.Duration // checkpoint_timeout
	Start          time.Duration // a start without recovery
	Promote        time.Duration
	Bootstrap      time.Duration
	Connect        time.Duration // until a connection that nobody answers is given up
	Rewind         time.Duration // besides what the size costs
	Orphans        time.Duration // the longest life of backends after their postmaster
	StreamRate     float64       // bytes a second of a replica that catches up
	ReplayRate     float64       // bytes a second
	CopyRate       float64       // bytes a second of a base backup
	WriteBytes     events.LSN    // of WAL for each commit
	KeepWAL        events.LSN    // wal_keep_size
	DataBytes      float64       // of a data directory
}

// DefaultTiming is what a cluster begins with.
func DefaultTiming() Timing {
	return Timing{
		Fsync: time.Millisecond, Lag: time.Millisecond / 2, Retry: 500 * time.Millisecond, SenderTimeout: time.Minute,
		KeepAlive:  30 * time.Second,
		Retransmit: 200 * time.Millisecond,
		Checkpoint: 30 * time.Millisecond, CheckpointEach: 5 * time.Minute, Start: 150 * time.Millisecond,
		Promote: 40 * time.Millisecond, Bootstrap: 2 * time.Second, Connect: 5 * time.Second, Rewind: 500 * time.Millisecond,
		Orphans: 60 * time.Millisecond, StreamRate: 100e6, ReplayRate: 50e6, CopyRate: 100e6, WriteBytes: 256,
		KeepWAL: 128 << 20, DataBytes: 200e6,
	}
}

// Faults are chances per thousand that an effect goes wrong by itself. The zero value is none.
type Faults struct {
	Fail int // an effect on PostgreSQL fails
	Slow int // it takes ten times as long
}

// Cluster is the servers of a world, and what they share.
type Cluster struct {
	Host
	Timing Timing
	Faults Faults
	// Archive tells that finished WAL goes to an archive that all servers read (archive_mode, restore_command).
	Archive bool

	servers  []*Server
	archived []historyFile // history files in the archive
	pids     int
	systems  uint64
	horizon  time.Duration // the longest lag that anybody ever had: how long marks are kept
	inChange bool
	again    bool
}

// NewCluster makes a cluster without servers.
func NewCluster(h Host) *Cluster {
	return &Cluster{Host: h, Timing: DefaultTiming(), pids: 1000, systems: 7300000000000000000, horizon: time.Second}
}

// Add makes a server with an empty data directory. Its connection URL must have the name as its host.
func (c *Cluster) Add(name string) *Server {
	s := &Server{c: c, name: name, slotName: slotName(name), useSlots: true, walKeep: c.Timing.KeepWAL, address: name + ":5432"}
	c.servers = append(c.servers, s)
	return s
}

// Server finds a server by its name, nil if there is none.
func (c *Cluster) Server(name string) *Server {
	for _, s := range c.servers {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Servers lists them in the order in which they were added. The slice is the cluster's own.
func (c *Cluster) Servers() []*Server { return c.servers }

// Changed must be called after reachability has changed. Whatever changes here calls it by itself.
func (c *Cluster) Changed() {
	c.again = true
	if c.inChange {
		return
	}
	c.inChange = true
	for c.again {
		c.again = false
		for _, s := range c.servers {
			s.relink()
		}
		for _, s := range c.servers {
			if s.work != nil && s.work.look != nil {
				s.work.look()
			}
		}
	}
	c.inChange = false
}

// linked tells whether two servers' hosts can exchange packets.
func (c *Cluster) linked(a, b *Server) bool {
	return !a.hostDown && !b.hostDown && (a == b || c.Reaches(a.name, b.name) && c.Reaches(b.name, a.name))
}

// sends tells whether packets get from one server's host to another's.
func (c *Cluster) sends(from, to *Server) bool {
	return !from.hostDown && !to.hostDown && (from == to || c.Reaches(from.name, to.name))
}

// refused tells that the way between two servers' hosts is closed such that both ends learn of it at once.
func (c *Cluster) refused(a, b *Server) bool {
	return c.Refuses != nil && a != b && !a.hostDown && !b.hostDown && (c.Refuses(a.name, b.name) || c.Refuses(b.name, a.name))
}

// of finds the server that an upstream's connection URL leads to, nil for none.
func (c *Cluster) of(u events.Upstream) *Server {
	host := u.ConnURL
	if i := strings.Index(host, "://"); i >= 0 {
		host = host[i+3:]
	}
	if i := strings.IndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if i := strings.IndexAny(host, ":/"); i >= 0 {
		host = host[:i]
	}
	if host == "" {
		return nil
	}
	if s := c.Server(host); s != nil {
		return s
	}
	return c.at(u.ConnURL)
}

// at finds the server whose address a connection URL names, host and port: servers that were found elsewhere have addresses of
// their own.
func (c *Cluster) at(connURL string) *Server {
	address := addressOf(connURL)
	for _, s := range c.servers {
		if address != "" && s.address == address {
			return s
		}
	}
	return nil
}

// addressOf is the host and port of a connection URL, empty when there is none.
func addressOf(connURL string) string {
	u, err := url.Parse(connURL)
	if err != nil || u.Port() == "" {
		return ""
	}
	return u.Host
}

// slotName is what pgdriver calls a member's slot.
func slotName(member string) string {
	const hexless = "0123456789"
	var b []byte
	for _, r := range strings.ToLower(member) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b = append(b, byte(r))
		case r == '-', r == '.':
			b = append(b, '_')
		default:
			b = append(b, 'u')
			digits := []byte{}
			for n := r; n > 0 || len(digits) < 4; n /= 10 {
				digits = append([]byte{hexless[n%10]}, digits...)
			}
			b = append(b, digits...)
		}
	}
	return string(b[:min(len(b), 63)])
}
