package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/regent-ha/regent/events"
)

// The kinds of store.
const (
	Embedded = "embedded" // etcd inside the agents
	Etcd     = "etcd"     // processes of etcd's server
	Nats     = "nats"     // processes of nats-server, with JetStream
)

// Options say what to start.
type Options struct {
	// Dir holds everything; it must be absent or empty, and Close removes it. Empty: a new directory in the
	// system's temporary one. It must be short: the path of a socket has at most 107 characters.
	Dir    string
	Binary string // of regent; it is copied, so that a rebuild does not disturb a cluster that runs
	Store  string // Embedded by default
	// StoreMembers is the number of servers of an external store: 1 by default for etcd, 3 for nats.
	StoreMembers int
	EtcdServer   string // program; by default etcd in PATH
	NatsServer   string // program; by default nats-server beside Binary, or in PATH
	// Dynamic is the first dynamic configuration, a JSON object. Empty: Patroni's timing (ttl 30, loop_wait 10).
	Dynamic string
	Members int    // 3 by default
	Guard   string // required, preferred or off; empty: regent's default
	// Parameters are PostgreSQL's, beyond those that keep a server small.
	Parameters map[string]string
	// Tags are the members' own, by name.
	Tags map[string]events.Tags
	// Namespaces makes each member and each server of the store a host of its own, which is a network namespace, and lets them be cut off from each
	// other. It needs root.
	Namespaces bool
	// Idle starts the store and no agent.
	Idle bool
	// BasePort is the first of the ports; ten follow for each member, and from BasePort+200 ten for each
	// server of the store. Zero: free ports below those that the system gives to clients.
	BasePort int
	Log      io.Writer // progress, one line each; nil: none
	// KeepOnFail keeps the directory when Failed was called or the caller died.
	KeepOnFail bool
	User       string // that root runs the processes as; postgres by default
}

const defaultDynamic = `{"ttl": 30, "loop_wait": 10, "retry_timeout": 10}`

// prepare checks the options and fills in what was left out.
func (o *Options) prepare() error {
	if o.Store == "" {
		o.Store = Embedded
	}
	if o.Members == 0 {
		o.Members = 3
	}
	if o.Dynamic == "" {
		o.Dynamic = defaultDynamic
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.StoreMembers == 0 {
		o.StoreMembers = map[string]int{Etcd: 1, Nats: 3}[o.Store]
	}
	var errs []error
	if o.Members < 1 || o.Members > 15 {
		errs = append(errs, fmt.Errorf("members = %d: want 1 to 15", o.Members))
	}
	if !json.Valid([]byte(o.Dynamic)) {
		errs = append(errs, fmt.Errorf("dynamic configuration %q: want a JSON object", o.Dynamic))
	}
	if o.Namespaces {
		errs = append(errs, checkNamespaces())
	}
	if o.Binary == "" {
		errs = append(errs, errors.New("the regent binary: want its path"))
	} else if _, err := os.Stat(o.Binary); err != nil {
		errs = append(errs, fmt.Errorf("the regent binary: %w", err))
	}
	var err error
	switch o.Store {
	case Embedded:
		if o.StoreMembers != 0 {
			err = fmt.Errorf("store members = %d: the embedded store has one server in each agent", o.StoreMembers)
		}
	case Etcd:
		o.EtcdServer, err = program(o.EtcdServer, "etcd")
	case Nats:
		if beside := filepath.Join(filepath.Dir(o.Binary), "nats-server"); o.NatsServer == "" {
			if _, e := os.Stat(beside); e == nil {
				o.NatsServer = beside
			}
		}
		o.NatsServer, err = program(o.NatsServer, "nats-server")
	default:
		err = fmt.Errorf("store = %q: want %s, %s or %s", o.Store, Embedded, Etcd, Nats)
	}
	return errors.Join(append(errs, err)...)
}

func program(path, name string) (string, error) {
	if path == "" {
		path = name
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("find the server of the store: %w", err)
	}
	return filepath.Abs(found)
}

// account is whom the processes run as; nil: as the caller.
func (o *Options) account() (*syscall.Credential, []string, error) {
	if os.Geteuid() != 0 {
		return nil, os.Environ(), nil
	}
	name := o.User
	if name == "" {
		name = "postgres"
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, nil, fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("user %s: %w", name, err)
	}
	env := append(os.Environ(), "HOME="+u.HomeDir, "USER="+name, "LOGNAME="+name)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, env, nil
}
