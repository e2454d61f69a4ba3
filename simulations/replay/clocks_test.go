package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// logOf is a log whose host's boot clock is ahead of the wall clock's zero by some time: it sees its own and another's record.
func logOf(name string, boot time.Duration, steps ...events.Input) *Log {
	l := &Log{Dir: name, Config: events.MemberConfig{Name: name, Scope: "c"}, Lives: []Life{{Whole: true, Lost: -1}}}
	for i, in := range steps {
		in.Seq = uint64(i + 1)
		in.Wall = int64(in.At)
		in.At = in.At.Add(boot)
		s := Step{In: in, Decision: &events.Decision{Input: in.Seq}}
		if c, ok := in.Fact.(events.DCSChange); ok && c.Key == "write" { // stands for a decision to write the own record
			s.In.Fact = events.TimerFired{}
			s.Decision.Effects = []events.Effect{{ID: in.Seq, Action: events.PutMember{Value: c.Value}}}
		}
		l.Lives[0].Steps = append(l.Lives[0].Steps, s)
	}
	return l
}

func at(ms int, f events.Fact) events.Input {
	return events.Input{At: events.Instant(time.Duration(ms) * time.Millisecond), Fact: f}
}

func writes(text string) events.Fact {
	return events.DCSChange{KeyValue: events.KeyValue{Key: "write", Value: text}}
}

func sees(member, text string, revision uint64) events.Fact {
	return events.DCSChange{KeyValue: events.KeyValue{Key: events.KeyMembers + member, Value: text, Revision: revision}}
}

func TestOffsetsComeFromBothSides(t *testing.T) {
	a := logOf("a", time.Hour, at(1000, writes("a1")), at(2010, sees("b", "b1", 11)), at(3000, events.TimerFired{}))
	b := logOf("b", -time.Minute, at(1006, sees("a", "a1", 10)), at(2000, writes("b1")))
	m, err := Merge([]*Log{a, b})
	if err != nil {
		t.Fatal(err)
	}
	// The truth is an hour and a minute; the messages took 6 and 10 ms.
	if ahead := m.clocks[0].by - m.clocks[1].by; (ahead + time.Hour + time.Minute).Abs() != 2*time.Millisecond {
		t.Errorf("the second clock is taken to be ahead by %v", ahead)
	}
	if d, known := m.bounds.doubt(m.clocks, 0, 1); d != 8*time.Millisecond || !known {
		t.Errorf("doubt %v, known %v", d, known)
	}
}

func TestWallClocksDecideWhereNothingIsShared(t *testing.T) {
	a := logOf("a", time.Hour, at(1000, writes("a1")), at(3000, events.TimerFired{}))
	b := logOf("b", -time.Minute, at(1006, events.TimerFired{}))
	m, err := Merge([]*Log{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if ahead := m.clocks[0].by - m.clocks[1].by; ahead != -time.Hour-time.Minute {
		t.Errorf("the second clock is taken to be ahead by %v", ahead)
	}
	r := m.Judge()
	var out strings.Builder
	if err := r.Print(&out, 0); err != nil || r.Members[1].Known || !strings.Contains(out.String(), "by the wall clocks alone: taken to be within 1.000 s") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Bounds that cannot both hold are those of clocks whose rates differ: that is told, and counts as doubt.
func TestContradictionsAreTold(t *testing.T) {
	a := logOf("a", 0, at(1000, writes("a1")), at(2000, sees("b", "b1", 11)), at(3000, events.TimerFired{}))
	b := logOf("b", 0, at(900, sees("a", "a1", 10)), at(1950, writes("b1"))) // seen 100 ms before it was written
	m, err := Merge([]*Log{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if m.contradiction != 50*time.Millisecond {
		t.Errorf("contradiction %v", m.contradiction)
	}
	if r := m.Judge(); r.Members[1].Doubt < 50*time.Millisecond {
		t.Errorf("doubt %v", r.Members[1].Doubt)
	}
}

// A host that was booted in between has another clock.
func TestABootIsAnotherClock(t *testing.T) {
	l := logOf("a", time.Hour, at(1000, events.TimerFired{}), at(2000, events.TimerFired{}))
	booted := logOf("a", time.Second, at(60000, events.TimerFired{}))
	l.Lives = append(l.Lives, booted.Lives...)
	clocks, of := boots([]*Log{l})
	if len(clocks) != 2 || of[0][0] == of[0][1] {
		t.Errorf("%d clocks, of the two runs %v", len(clocks), of)
	}
}
