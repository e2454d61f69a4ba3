package events

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Whatever snapshots and changes follow each other, a LiveView is what a View read anew would be, and no earlier copy of it
// changes.
func TestLiveViewIsWhatAViewReadAnewIs(t *testing.T) {
	keys := slices.Sorted(maps.Keys(contents))
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		live, plain, now := LiveView{}, View{}, []KeyValue{}
		for rev := range uint64(60) {
			key := keys[r.IntN(len(keys))]
			at := slices.IndexFunc(now, func(kv KeyValue) bool { return kv.Key == key })
			c := DCSChange{KeyValue: KeyValue{Key: key, Revision: rev}}
			switch {
			case r.IntN(8) == 0:
				c.Deleted = true
				now = slices.DeleteFunc(now, func(kv KeyValue) bool { return kv.Key == key })
			case at >= 0 && r.IntN(2) == 0: // the same again, at another revision
				c.Value = now[at].Value
				now[at].Revision = rev
			default:
				c.Value = contents[key][r.IntN(len(contents[key]))]
				now = append(slices.DeleteFunc(now, func(kv KeyValue) bool { return kv.Key == key }), c.KeyValue)
			}
			before, text := live.Copy(), fmt.Sprintf("%+v", live.View)
			if r.IntN(3) > 0 {
				live.Apply(c)
				plain.Apply(c)
			} else {
				s := DCSSnapshot{Revision: rev, Term: rev / 10, Keys: slices.Clone(now)}
				if r.IntN(4) > 0 {
					slices.SortFunc(s.Keys, func(a, b KeyValue) int { return strings.Compare(a.Key, b.Key) })
				} else if len(s.Keys) > 0 { // out of order, and a key twice
					s.Keys = append(s.Keys, KeyValue{s.Keys[0].Key, contents[s.Keys[0].Key][0], rev})
					now[0] = s.Keys[len(s.Keys)-1]
				}
				live.TakeSnapshot(s)
				plain = ParseView(s)
				clear(s.Keys) // its owner may use it again
			}
			if !reflect.DeepEqual(live.View, plain) {
				t.Fatalf("seed %d, step %d, %+v:\ngot  %+v\nwant %+v", seed, rev, c, live.View, plain)
			}
			if after := fmt.Sprintf("%+v", before); after != text {
				t.Fatalf("seed %d, step %d: an earlier copy changed from\n%s to\n%s", seed, rev, text, after)
			}
		}
	}
}

// What is said again costs nothing.
func TestLiveViewReadsNoTextTwice(t *testing.T) {
	s := DCSSnapshot{Revision: 9, Keys: []KeyValue{
		{KeyConfig, `{"ttl":20}`, 2}, {KeyHistory, `[[1,2,"r"]]`, 6}, {KeyInitialize, "73", 1}, {KeyLeader, "n1", 7},
		{"members/n1", `{"role":"primary"}`, 8}, {KeyStatus, `{"optime":10,"slots":{"n2":4}}`, 9},
	}}
	var live LiveView
	live.TakeSnapshot(s)
	if n := testing.AllocsPerRun(100, func() { live.TakeSnapshot(s) }); n != 0 {
		t.Errorf("the same snapshot again allocates %v times", n)
	}
	rev := uint64(10)
	if n := testing.AllocsPerRun(100, func() { rev++; live.Apply(put("members/n1", `{"role":"primary"}`, rev)) }); n != 0 {
		t.Errorf("the same record at another revision allocates %v times", n)
	}
	texts := []string{`{"role":"primary","xlog_location":1}`, `{"role":"primary","xlog_location":2}`}
	if n := testing.AllocsPerRun(100, func() { rev++; live.Apply(put("members/n1", texts[rev%2], rev)) }); n != 0 {
		t.Errorf("another plain record of the same member allocates %v times", n)
	}
}
