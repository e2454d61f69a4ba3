package simulations

import (
	"time"

	"github.com/regent-ha/regent/events"
)

// responsive is L5, its half that virtual time can show: no member is in a loop in which it decides all the time.
type responsive struct {
	watching
	paces map[*Member]*pace
}

// pace counts a member's steps within a second.
type pace struct {
	second int64
	steps  int
	busy   int // seconds in a row with too many
}

const (
	busySteps   = 200 // steps in a second
	busySeconds = 5
)

func (j *responsive) step(m *Member, _ *events.Input, _ *events.Decision) {
	if j.paces == nil {
		j.paces = map[*Member]*pace{}
	}
	p := j.paces[m]
	if p == nil {
		p = &pace{}
		j.paces[m] = p
	}
	second := int64(j.w.Now()) / int64(time.Second)
	if second != p.second {
		if p.steps > busySteps && second == p.second+1 {
			p.busy++
		} else {
			p.busy = 0
		}
		if p.busy == busySeconds {
			j.breaks("%s has decided more than %d times in each of the last %d seconds", m.name, busySteps, busySeconds)
		}
		p.second, p.steps = second, 0
	}
	p.steps++
}
