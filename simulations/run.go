package simulations

import (
	"strings"
	"time"
)

// Verdict is how a run of a bad day ended.
type Verdict struct {
	Store     string        `json:"backend"`
	Seed      uint64        `json:"seed"`
	Hash      uint64        `json:"hash"` // of all decisions
	Virtual   time.Duration `json:"virtual"`
	Events    uint64        `json:"events"`
	Steps     int           `json:"steps"`
	Failovers int           `json:"failovers"`
	// Proxy is what clients met that go where the health endpoints lead.
	Proxy ProxyStats `json:"proxy"`
	// Broken are the invariants that did not hold, with the time and what was seen; Invariant is the first one's name.
	Broken    []string `json:"broken,omitempty"`
	Invariant string   `json:"invariant,omitempty"`
	// Outside are the invariants for which a fault of this run is out of contract, Excused what of them did not hold.
	Outside []OutOfContract `json:"out_of_contract,omitempty"`
	Excused []string        `json:"excused,omitempty"`
}

// RunDay lets a bad day happen.
func RunDay(set ChaosSettings) (*Chaos, Verdict) {
	c := NewChaos(set)
	c.Run()
	return c, c.verdict(set)
}

func (c *Chaos) verdict(set ChaosSettings) Verdict {
	v := Verdict{Store: c.store.Kind(), Seed: set.Seed, Hash: c.Hash(), Virtual: c.k.Since(), Events: c.k.Events(), Steps: c.Steps,
		Failovers: c.Failovers, Broken: c.Broken, Outside: c.Outside, Excused: c.Excused, Proxy: c.proxy.Stats}
	if len(c.Broken) > 0 {
		v.Invariant = invariantOf(c.Broken[0])
	}
	return v
}

// invariantOf reads the name of the invariant from a line of Broken: "   12.345 S1: n1 and n2 …", or an engine's own, "n1, in …: I3: …".
func invariantOf(line string) string {
	for _, word := range strings.Fields(line) {
		name := strings.TrimSuffix(word, ":")
		if len(name) >= 2 && name != word && strings.ContainsRune("SLIT", rune(name[0])) && name[1] >= '0' && name[1] <= '9' {
			name, _, _ = strings.Cut(name, "/")
			return name
		}
	}
	return "unknown"
}
