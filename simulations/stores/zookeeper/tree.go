package zookeeper

import (
	"maps"
	"slices"
	"strings"

	"github.com/regent-ha/regent/events"
)

// keyLives is the node whose version grows with every key that we create (see the package page, point 5). Names
// that begin with a dot are not keys of the directory.
const keyLives = ".lives"

func hidden(path string) bool { return strings.HasPrefix(path, ".") }

// node is a znode. It is never changed: a write makes another one, so that the servers can share it.
type node struct {
	value        string
	czxid, mzxid uint64
	version      int32
	owner        uint64 // session of an ephemeral, zero for a persistent one
	// lease is the epoch under which the leader node was written: bookkeeping for judges, which no member sees.
	lease uint64
}

// change is what a transaction does to one path; node nil deletes it.
type change struct {
	path string
	node *node
}

// opKind is the kind of one operation of a multi.
type opKind int

const (
	opCheck opKind = iota
	opCreate
	opSet
	opDelete
)

const anyVersion = -1

type op struct {
	kind      opKind
	path      string
	value     string
	version   int32 // opCheck, opSet, opDelete: what it must be, or anyVersion
	ephemeral bool  // opCreate
	lease     uint64
}

// code is how a request ended.
type code int

const (
	ok code = iota
	noNode
	nodeExists
	badVersion
	sessionExpired
	sessionMoved
	connectionLost // and with it the answer: the outcome of a write is unknown
)

func (c code) String() string {
	return [...]string{"ok", "no node", "node exists", "bad version", "session expired", "session moved", "connection lost"}[c]
}

// result answers a request. For a multi, at is the operation that failed.
type result struct {
	code code
	at   int
	zxid uint64
	// owner is the ephemeral owner of the first node that a multi wrote.
	owner uint64
}

// txn is a proposal. A refused request is one too, without changes: the refusal is agreed on by the quorum like
// everything else (source: PrepRequestProcessor.pRequestHelper, OpCode.error).
type txn struct {
	zxid    uint64
	changes []change
	opened  uint64 // session that it creates, with timeout
	timeout int64
	closed  uint64 // session that it closes
	result  result
	origin  *server
	reply   func(result)
}

// tree is what a server has applied.
type tree struct {
	nodes    map[string]*node
	sessions map[uint64]int64 // timeouts in nanoseconds
	zxid     uint64
	names    uint64 // zxid of the last creation or deletion
}

func newTree() *tree { return &tree{nodes: map[string]*node{}, sessions: map[uint64]int64{}} }

func (t *tree) clone() *tree {
	return &tree{nodes: maps.Clone(t.nodes), sessions: maps.Clone(t.sessions), zxid: t.zxid, names: t.names}
}

func (t *tree) apply(x *txn) {
	t.zxid = x.zxid
	if x.opened != 0 {
		t.sessions[x.opened] = x.timeout
	}
	if x.closed != 0 {
		delete(t.sessions, x.closed)
	}
	for _, c := range x.changes {
		if c.node == nil {
			delete(t.nodes, c.path)
			t.names = x.zxid
			continue
		}
		if c.node.czxid == x.zxid {
			t.names = x.zxid
		}
		t.nodes[c.path] = c.node
	}
}

// ephemerals are the paths of a session, sorted.
func (t *tree) ephemerals(sid uint64) []string {
	var all []string
	for path, n := range t.nodes {
		if n.owner == sid {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

// keys are the contents of the directory, sorted.
func (t *tree) keys() []events.KeyValue {
	all := make([]events.KeyValue, 0, len(t.nodes))
	for path, n := range t.nodes {
		if !hidden(path) {
			all = append(all, events.KeyValue{Key: path, Value: n.value, Revision: n.mzxid})
		}
	}
	slices.SortFunc(all, func(a, b events.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return all
}
