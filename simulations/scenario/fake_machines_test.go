package scenario

import (
	"strings"
	"testing"
	"time"
)

var _ Machines = (*fake)(nil)

func (f *fake) CutWay(from, to []string, refused bool) error {
	return f.say("cut way %v to %v refused %v", from, to, refused)
}

func (f *fake) CutServer(m string, n int, refused bool) error {
	return f.say("cut %s from server %d refused %v", m, n, refused)
}

func (f *fake) SpoilWays(a, b []string, late time.Duration, percent int) error {
	return f.say("spoil %v and %v late %v loss %d", a, b, late, percent)
}

func (f *fake) SpoilStore(m string, late time.Duration, percent int) error {
	return f.say("spoil store %s late %v loss %d", m, late, percent)
}

func (f *fake) SetDisk(m string, d Disk, slow time.Duration) error {
	return f.say("disk %s %s %v", m, d, slow)
}

func (f *fake) StallLog(m string, stalled bool) error { return f.say("log %s stalled %v", m, stalled) }

func (f *fake) DriftClock(m string, percent float64) error { return f.say("drift %s %v", m, percent) }
func (f *fake) StepWallClock(m string, d time.Duration) error {
	return f.say("step %s %v", m, d)
}
func (f *fake) SuspendHost(m string) error { return f.say("suspend %s", m) }
func (f *fake) WakeHost(m string) error    { return f.say("wake %s", m) }

func (f *fake) KillAgentAt(m, effect string, amid bool) error {
	return f.say("kill agent %s at %s, amid %v", m, effect, amid)
}

func (f *fake) NameAgent(m, name string) error { return f.say("name agent %s %s", m, name) }

// A stage without finer faults says so.
func TestStageWithoutMachines(t *testing.T) {
	for _, command := range []string{"slow n1 from the store by 2s", "cut n1 from n2 requests", "cut n1 from server 2 of the store"} {
		_, err := Play(parsed(t, "cluster\n----\n\n"+command+"\n----\n"), struct{ Stage }{newFake()})
		if err == nil || !strings.Contains(err.Error(), "this stage has no such faults of machines") {
			t.Errorf("%s: %v", command, err)
		}
	}
}
