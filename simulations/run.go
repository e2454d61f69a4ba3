package simulations

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Verdict is how a run of a bad day ended.
type Verdict struct {
	Store     string        `json:"backend"`
	Seed      uint64        `json:"seed"`
	Hash      RunHash       `json:"hash"` // of all decisions
	Virtual   time.Duration `json:"-"`
	Seconds   float64       `json:"virtual_seconds"` // Virtual, for readers of reports
	Events    uint64        `json:"events"`
	Steps     int           `json:"steps"`
	Failovers int           `json:"failovers"`
	// Explained are members without a role at the end, and the true reasons that they gave.
	Explained []string `json:"explained,omitempty"`
	Ended     Ending   `json:"verdict"`
	// Proxy is what clients met that go where the health endpoints lead.
	Proxy ProxyStats `json:"proxy"`
	// Broken are the invariants that did not hold, with the time and what was seen; Invariant is the first one's name.
	Broken    []string `json:"broken,omitempty"`
	Invariant string   `json:"invariant,omitempty"`
	// Outside are the invariants for which a fault of this run is out of contract, Excused what of them did not hold.
	Outside []OutOfContract `json:"out_of_contract,omitempty"`
	Excused []string        `json:"excused,omitempty"`
}

// Ending says whether everything held.
type Ending string

// The endings.
const (
	Sound  Ending = "ok"
	Broken Ending = "broken"
)

// RunHash digests a run. As text it is hexadecimal: numbers of 64 bits do not survive most readers of JSON.
type RunHash uint64

// String is the hash in hexadecimal.
func (h RunHash) String() string { return fmt.Sprintf("%016x", uint64(h)) }

// MarshalText is String.
func (h RunHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (h *RunHash) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil {
		return fmt.Errorf("hash %q: want a hexadecimal number", text)
	}
	*h = RunHash(n)
	return nil
}

// Break notes what did not hold.
func (v *Verdict) Break(invariant string, broken ...string) {
	v.Ended, v.Invariant, v.Broken = Broken, invariant, broken
}

// RunDay lets a bad day happen.
func RunDay(set ChaosSettings) (*Chaos, Verdict) {
	c := NewChaos(set)
	c.Run()
	return c, c.verdict(set)
}

func (c *Chaos) verdict(set ChaosSettings) Verdict {
	v := Verdict{Store: c.store.Kind(), Seed: set.Seed, Hash: RunHash(c.Hash()), Virtual: c.k.Since(), Events: c.k.Events(), Steps: c.Steps,
		Failovers: c.Failovers, Explained: c.Explained, Ended: Sound, Outside: c.Outside, Excused: c.Excused,
		Proxy: c.proxy.Stats}
	v.Seconds = v.Virtual.Seconds()
	if len(c.Broken) > 0 {
		v.Break(invariantOf(c.Broken[0]), c.Broken...)
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
