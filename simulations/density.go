package simulations

import (
	"os"
	"runtime/debug"
	"time"
)

// SmallFaults are the small faults of a soak, all the time: of a thousand messages to or from the store three are lost and three late, fifteen
// requests are refused, and looks, questions to peers and effects fail or are slow at the rates that an unwell machine room has.
var SmallFaults = Faults{LostRequest: 3, LostAnswer: 3, LateRequest: 3, LateAnswer: 3, Refused: 15, SlowPeer: 9, FailedEffect: 6, SlowEffect: 12,
	LateLook: 9}

// SoakEvery is the mean time between two drawn faults of a soak. A bad day has one every few seconds, most of which meet a cluster that has not got over
// the one before; at this density most meet one at work, as in life. Three of four such clusters have the default timing, until an operator edits it.
const SoakEvery = 4 * time.Minute

// pauseBetween draws the time until the next fault. It is never nothing: time goes on, whatever is drawn.
func (c *Chaos) pauseBetween() time.Duration {
	if c.every != 0 {
		return c.time("pause between faults", 2*c.every) + time.Millisecond
	}
	if c.calm {
		return 30*time.Second + c.time("pause on a calm day", 90*time.Second)
	}
	pause := c.time("pause between faults", 8*time.Second)
	if c.pick("a fault soon after", 3) == 2 {
		pause = c.time("pause between faults", 300*time.Millisecond)
	}
	return pause + time.Millisecond
}

// CollectLess lets the collector of garbage run less often, unless the environment says how often: a world is small, and what it leaves behind is
// much. It costs some ten megabytes for each world that runs at once, and saves a fifth of the time.
func CollectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800)
	}
}
