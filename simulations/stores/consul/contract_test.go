package consul

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/regent-ha/regent/simulations/kernel"
	"github.com/regent-ha/regent/simulations/stores"
	"github.com/regent-ha/regent/simulations/stores/conform"
)

// TestContract runs the contract of package backends in virtual time.
func TestContract(t *testing.T) {
	for _, cfg := range []Config{{Servers: 1}, {Servers: 3}, {Servers: 3, AgentNode: true}} {
		name := fmt.Sprintf("consul-%d", cfg.Servers)
		if cfg.AgentNode {
			name += "-agent-node"
		}
		t.Run(name, func(t *testing.T) {
			results := conform.Run(t, func(env kernel.Env, _ string) stores.Model { return New(env, cfg) }, conform.Options{
				// The longest ttl that a case asks for is two seconds above TTL, and a lease lives for twice its ttl.
				Name: name, TTL: minTTL, Lateness: minTTL + 2500*time.Millisecond, Seeds: seeds(),
			})
			for _, r := range results {
				if r.Missing == "" && !r.OK {
					t.Error(r)
				}
			}
		})
	}
}

// seeds are more in CI than in the inner loop.
func seeds() []uint64 {
	if os.Getenv("CI") != "" {
		return []uint64{0, 1, 2, 3}
	}
	return []uint64{0, 1}
}
