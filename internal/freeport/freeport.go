// Package freeport finds ports of the loopback address for servers that tests start, stop and start again. A port that the
// system chooses (of "127.0.0.1:0") may be given to any client as soon as nobody listens on it; these are from below the range that
// clients get theirs from, and a process gets none of them twice.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Clients get ports from 32768 on (net.ipv4.ip_local_port_range). The clusters of simulations/live choose from 20000 on.
const lowest, highest = 11000, 20000

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

// Port is a port that nobody listens on.
func Port() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	var last error
	for range 200 {
		port := lowest + rand.IntN(highest-lowest)
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp", address(port))
		if err == nil {
			err = l.Close()
		}
		if err == nil {
			given[port] = true
			return port, nil
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// Address is a loopback address with such a port.
func Address() (string, error) {
	port, err := Port()
	return address(port), err
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
