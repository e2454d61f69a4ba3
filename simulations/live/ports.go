package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

const (
	portsPerProcess  = 10
	storePortsOffset = 200
	// The range for free ports ends below 32768, from where on the system takes ports for clients: a server that is down for
	// a while must find its port free when it comes back.
	lowestPort, highestPort = 20000, 32700
)

// The ports of a member, and of a server of the store, from its own base.
const (
	portPostgres = iota
	portREST
	portStoreClient
	portStorePeer
)

const (
	portServe = iota
	portPeer
	portMonitor
)

type portUse struct {
	port int
	what string
}

// uses lists every port that the cluster will listen on.
func (o *Options) uses(base int) []portUse {
	var all []portUse
	for i := range o.Members {
		b, name := base+i*portsPerProcess, memberName(i)
		all = append(all, portUse{b + portPostgres, "PostgreSQL of " + name}, portUse{b + portREST, "the REST API of " + name})
		if o.Store == Embedded {
			all = append(all, portUse{b + portStoreClient, "the store of " + name}, portUse{b + portStorePeer, "the store's peers of " + name})
		}
	}
	for i := range o.StoreMembers {
		b, name := base+storePortsOffset+i*portsPerProcess, fmt.Sprintf("store server %d", i+1)
		all = append(all, portUse{b + portServe, name}, portUse{b + portPeer, "the peers of " + name}, portUse{b + portMonitor, "the monitor of " + name})
	}
	return all
}

// checkPorts names every port that somebody else listens on.
func checkPorts(uses []portUse) error {
	var errs []error
	for _, u := range uses {
		l, err := net.Listen("tcp", address(u.port))
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("port %d, for %s, is in use: %w", u.port, u.what, err))
		}
	}
	return errors.Join(errs...)
}

// choosePorts returns a base from which all ports are free.
func (o *Options) choosePorts() (int, error) {
	if o.Namespaces {
		return lowestPort, nil // on hosts of its own
	}
	if o.BasePort != 0 {
		return o.BasePort, checkPorts(o.uses(o.BasePort))
	}
	var last error
	for range 50 {
		base := lowestPort + rand.IntN(highestPort-lowestPort-2*storePortsOffset)
		if last = checkPorts(o.uses(base)); last == nil {
			return base, nil
		}
	}
	return 0, fmt.Errorf("find free ports: %w", last)
}

func address(port int) string { return loopback.address(port) }
