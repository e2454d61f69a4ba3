package engine

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/regent-ha/regent/events"
)

// The status that is built by hand is what encoding/json makes of the record.
func TestStatusTextIsARecord(t *testing.T) {
	many := make([]events.Slot, 40)
	for i := range many {
		many[i] = events.Slot{Name: "s" + string(rune('a'+(i*7)%26)), RestartLSN: events.LSN(i)}
	}
	for _, slots := range [][]events.Slot{
		nil, {{Name: "n2"}}, {{Name: "n2", RestartLSN: 7}, {Name: "a", RestartLSN: 1}, {Name: "zz"}}, {{Name: "n1", RestartLSN: 3}},
		{{Name: "b", RestartLSN: 1}, {Name: "b", RestartLSN: 2}}, {{Name: "é<\"\\\x00\xff", RestartLSN: 2}, {Name: "", RestartLSN: 1}}, many,
	} {
		s := &state{member: events.MemberConfig{Name: "n1"}}
		s.pg.Server = events.Server{FlushLSN: 1<<64 - 1, Slots: slots}
		want := events.StatusRecord{Optime: s.pg.Server.Position()}
		if len(slots) > 0 {
			want.Slots = map[string]events.LSN{}
			for _, slot := range slots {
				if slot.RestartLSN != 0 {
					want.Slots[slot.Name] = slot.RestartLSN
				}
			}
			want.Slots["n1"] = want.Optime
		}
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.statusText(); got != string(b) {
			t.Errorf("%v:\ngot  %s\nwant %s", slots, got, b)
		}
	}
}

// A row is passed over when it begins with a condition, known by its name, that did not hold a moment before: one name must
// not stand for two conditions.
func TestNamesOfConditionsAreUnique(t *testing.T) {
	code := map[string]uintptr{}
	check := func(when []predicate) {
		for _, p := range when {
			here := reflect.ValueOf(p.ok).Pointer()
			if there, ok := code[p.name]; ok && there != here {
				t.Errorf("%q names two conditions", p.name)
			}
			code[p.name] = here
		}
	}
	for i := range table {
		check(table[i].When)
	}
	for i := range dutyTable {
		check(dutyTable[i].When)
	}
}
