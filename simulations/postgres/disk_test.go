package postgres

import (
	"testing"
	"time"

	"github.com/regent-ha/regent/events"
)

// A disk that was remounted read-only is noticed by the next write, which ends the server; it cannot be started there.
func TestReadOnlyDisk(t *testing.T) {
	w := trio(t)
	w.a.SetDisk(DiskReadOnly)
	if !w.a.Running() || w.a.Writable() {
		t.Fatalf("running %v, writable %v: nothing was written yet", w.a.Running(), w.a.Writable())
	}
	var l Ledger
	if _, a := w.write(&l, w.a); a != NoAnswer || w.a.Running() {
		t.Fatalf("answer %d, running %v: want a PANIC", a, w.a.Running())
	}
	w.fails(w.a, events.StartPostgres{AsPrimary: true}, "read-only file system")
	w.b.SetDisk(DiskReadOnly)
	w.d.SetDisk(DiskReadOnly)
	w.k.Run(time.Second)
	w.fails(w.b, events.Promote{}, `could not create file "promote": read-only file system`)
	w.a.SetDisk(DiskWell)
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.until("it accepts writes again", w.a.Writable)
}

// A receiver of WAL writes all the time: it ends with its disk.
func TestReceiverOnReadOnlyDisk(t *testing.T) {
	w := trio(t)
	w.b.SetDisk(DiskReadOnly)
	if w.b.Running() {
		t.Fatal("it goes on receiving")
	}
	w.fails(w.b, events.StartPostgres{From: of(w.a)}, "read-only file system")
}

// A slow sync delays commits and what waits for a replica, and breaks nothing.
func TestSlowFsync(t *testing.T) {
	w := trio(t)
	w.a.SlowFsync(2 * time.Second)
	told := 0
	w.a.Write(1, func(Answer) { told++ })
	w.k.Run(time.Second)
	if told != 0 || w.b.Has(1) {
		t.Fatalf("told %d, there %v, before it is synced", told, w.b.Has(1))
	}
	w.k.Run(2 * time.Second)
	if told != 1 || !w.b.Has(1) {
		t.Fatalf("told %d, there %v, after it is synced", told, w.b.Has(1))
	}
	w.a.SlowFsync(0)
	w.b.SlowFsync(5 * time.Second)
	if err := w.a.SetSync("b"); err != nil {
		t.Fatal(err)
	}
	w.k.Run(20 * time.Second)
	w.a.Write(2, func(Answer) { told++ })
	w.k.Run(4 * time.Second)
	if told != 1 || !w.d.Has(2) {
		t.Fatalf("told %d, on the other replica %v: want it to wait for the slow one", told, w.d.Has(2))
	}
	w.k.Run(4 * time.Second)
	if told != 2 {
		t.Fatal("it waits although the replica has synced it")
	}
}

// A server that is killed while its disk does not answer is not gone before the disk answers, and takes no commit any more.
func TestKilledOnStalledDisk(t *testing.T) {
	w := trio(t)
	told := 0
	w.a.SetDisk(DiskStalled)
	w.a.Write(1, func(a Answer) {
		told++
		if a != NoAnswer {
			t.Errorf("answer %d", a)
		}
	})
	w.k.Run(time.Second)
	w.exits = nil
	w.a.KillAll()
	w.k.Run(time.Minute)
	if w.a.Accepts() || w.a.Running() || told != 1 || len(w.exits) != 1 || w.exits[0].Gone {
		t.Fatalf("accepts %v, running %v, told %d, exits %+v", w.a.Accepts(), w.a.Running(), told, w.exits)
	}
	o := w.do(w.a, events.StartPostgres{AsPrimary: true})
	if o.Outcome != events.Failed {
		t.Fatalf("started beside the dead: %+v", o)
	}
	w.a.SetDisk(DiskWell)
	if len(w.exits) != 2 || !w.exits[1].Gone {
		t.Fatalf("exits %+v: want the last after the disk answers", w.exits)
	}
	w.must(w.a, events.StartPostgres{AsPrimary: true})
	w.until("it accepts writes again", w.a.Writable)
}
