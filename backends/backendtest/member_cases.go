package backendtest

import (
	"fmt"
	"time"

	"github.com/regent-ha/regent/events"
)

var memberCases = []Case{
	{Name: "C11_member_record_lives_while_written_and_then_ends", run: memberRecordLives},
	{Name: "C11_member_record_returns", run: memberRecordReturns},
	{Name: "C11_member_record_of_a_restarted_member", run: memberRecordRestarted},
	{Name: "C11_member_record_and_lease_are_separate", run: memberRecordSeparate},
}

func memberRecordLives(e *env) {
	s, other := e.open("n1"), e.open("n2")
	w := e.watch(other)
	var last events.Instant
	put := func(value string) {
		e.Helper()
		last = e.h.Now()
		e.must("put the member record", s.PutMember(e.ctx(), value, e.h.TTL))
		e.poll(e.h.Prompt, "the record "+value, func() bool { kv, _ := w.get("members/n1"); return kv.Value == value })
	}
	put("0")
	end := e.h.Now().Add(3 * e.h.TTL)
	for i := 0; e.h.Now() < end; i++ {
		pause := e.h.Now().Add(e.h.TTL / 3)
		e.poll(e.h.TTL, "a third of the ttl", func() bool { return e.h.Now() >= pause })
		put(fmt.Sprint(i / 3)) // the same value several times
	}
	if n := w.deleted("members/n1"); n > 0 {
		e.Fatalf("the record went %d times while it was written", n)
	}
	returned := e.h.Now()
	e.poll(e.h.TTL+e.h.Lateness+time.Second, "the end of the record", func() bool { return w.gone("members/n1") })
	at := w.when("members/n1")
	if at < last.Add(e.h.TTL) {
		e.Errorf("the record ended %v after it was written, before its ttl of %v", at.Sub(last), e.h.TTL)
	}
	if at > returned.Add(e.h.TTL+e.h.Lateness) {
		e.Errorf("the record ended %v after it was written, ttl %v", at.Sub(returned), e.h.TTL)
	}
	e.Logf("member record ended %v after its ttl", at.Sub(last)-e.h.TTL)
}

func memberRecordReturns(e *env) {
	s, other := e.open("n1"), e.open("n2")
	w := e.watch(other)
	e.must("put the member record", s.PutMember(e.ctx(), "{}", e.h.TTL))
	e.must("delete by another member", other.Delete(e.ctx(), "members/n1", events.Any))
	e.poll(e.h.Prompt, "the deletion", func() bool { return w.deleted("members/n1") == 1 })
	e.must("put the same value again", s.PutMember(e.ctx(), "{}", e.h.TTL))
	e.poll(e.h.Prompt, "the record again", func() bool { return !w.gone("members/n1") })

	_, err := other.Put(e.ctx(), "members/n1", "overwritten", events.Any)
	e.must("overwrite by another member", err)
	e.must("put the same value again", s.PutMember(e.ctx(), "{}", e.h.TTL))
	e.poll(e.h.Prompt, "our value", func() bool { kv, _ := w.get("members/n1"); return kv.Value == "{}" })

	e.poll(e.h.TTL+e.h.Lateness+time.Second, "the end of the record", func() bool { return w.gone("members/n1") })
	e.must("put after the record ended", s.PutMember(e.ctx(), "{}", e.h.TTL))
	e.poll(e.h.Prompt, "the record a third time", func() bool { return !w.gone("members/n1") })
	e.must("put with a longer ttl", s.PutMember(e.ctx(), "{}", e.h.TTL+2*time.Second))
	long := e.h.Now().Add(e.h.TTL + 2*time.Second)
	e.poll(e.h.TTL+2*time.Second+e.h.Lateness+time.Second, "the end of the record", func() bool { return w.gone("members/n1") })
	if at := w.when("members/n1"); at < long.Add(-500*time.Millisecond) {
		e.Errorf("with a longer ttl the record ended %v too early", long.Sub(at))
	}
}

func memberRecordRestarted(e *env) {
	first, other := e.open("n1"), e.open("n2")
	w := e.watch(other)
	e.must("put the member record", first.PutMember(e.ctx(), "first", e.h.TTL))
	second := e.open("n1")
	e.must("put by the restarted member", second.PutMember(e.ctx(), "second", e.h.TTL))
	end := e.h.Now().Add(2*e.h.TTL + e.h.Lateness)
	for e.h.Now() < end {
		pause := e.h.Now().Add(e.h.TTL / 3)
		e.poll(e.h.TTL, "a third of the ttl", func() bool { return e.h.Now() >= pause })
		e.must("put by the restarted member", second.PutMember(e.ctx(), "second", e.h.TTL))
	}
	if w.deleted("members/n1") > 0 {
		e.Error("the end of the former process's lease took the record of the new one")
	}
	e.must("put with equal value and ttl", second.PutMember(e.ctx(), "second", e.h.TTL))
	if kv, _ := w.get("members/n1"); kv.Value != "second" {
		e.Errorf("the record is %q", kv.Value)
	}
}

func memberRecordSeparate(e *env) {
	s, other := e.open("n1"), e.open("n2")
	w := e.watch(other)
	e.must("put the member record", s.PutMember(e.ctx(), "{}", e.h.TTL))
	l := e.acquire(s, 0)
	e.must("release", s.Release(e.ctx(), l.Epoch))
	e.poll(e.h.Prompt, "the release", func() bool { return w.deleted("leader") == 1 })
	if w.gone("members/n1") {
		e.Fatal("the release of the lease took the member record")
	}
	// The member record must not keep the lease alive, nor the lease the record.
	l = e.acquire(s, 0)
	deadline := l.SentAt.Add(l.TTL + e.h.Lateness)
	for !w.gone("leader") || w.deleted("leader") < 2 {
		if e.h.Now() > deadline {
			e.Fatal("writing the member record kept the lease alive")
		}
		e.must("put the member record", s.PutMember(e.ctx(), "{}", e.h.TTL))
		pause := e.h.Now().Add(e.h.TTL / 4)
		e.poll(e.h.TTL, "a quarter of the ttl", func() bool { return e.h.Now() >= pause })
	}
	if w.gone("members/n1") {
		e.Error("the end of the lease took the member record")
	}
}
