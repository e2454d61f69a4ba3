package live

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var zero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }

// tenure makes one of writes that were sent and, a millisecond later, acknowledged.
func tenure(member string, sent ...int) *Tenure {
	t := &Tenure{Member: member}
	for i, ms := range sent {
		t.Writes = append(t.Writes, Ack{N: int64(i), Member: member, Sent: at(ms), Acked: at(ms + 1)})
	}
	t.First, t.Last = t.Writes[0], t.Writes[len(t.Writes)-1]
	return t
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		name    string
		tenures []*Tenure
		total   int // ms
		writes  int
	}{
		{"one after the other", []*Tenure{tenure("a", 0, 5, 10), tenure("b", 12, 17)}, 0, 0},
		{"the same member", []*Tenure{tenure("a", 0, 5, 10), tenure("a", 5, 17)}, 0, 0},
		{"what cannot be told apart", []*Tenure{tenure("a", 0, 5, 10), tenure("b", 10, 15)}, 0, 0},
		{"two at once", []*Tenure{tenure("a", 0, 5, 10), tenure("b", 4, 8, 20)}, 5, 4},
		{"one write in the middle of another tenure", []*Tenure{tenure("a", 0, 5, 10), tenure("b", 6)}, 0, 1},
		{"three", []*Tenure{tenure("a", 0, 10), tenure("b", 0, 10), tenure("c", 0, 10)}, 27, 0},
	} {
		p := &Probes{tenures: c.tenures}
		o := p.Overlap()
		if o.Total != time.Duration(c.total)*time.Millisecond || o.Writes != c.writes || o.None() != (c.total+c.writes == 0) {
			t.Errorf("%s: %v, want %d ms in all and %d writes", c.name, o, c.total, c.writes)
		}
	}
}

func TestGap(t *testing.T) {
	w := &Writer{ended: true, acks: tenure("a", 0, 10, 500, 510, 700).Writes}
	for since, want := range map[int]int{0: 490, 502: 190, 900: 0} {
		if got := w.Gap(at(since)); got != time.Duration(want)*time.Millisecond {
			t.Errorf("since %d ms: %v, want %d ms", since, got, want)
		}
	}
	w.ended = false
	if got := w.Gap(at(900)); got < time.Hour {
		t.Errorf("a writer that gets no answer: %v, want all the time since its last one", got)
	}
}

func TestPortsInUseAreNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	o := Options{Store: Embedded, Members: 3, BasePort: port - portsPerProcess - portREST}
	if _, err := o.choosePorts(); err == nil || !strings.Contains(err.Error(), "the REST API of n2") {
		t.Errorf("port %d is in use: %v, want the REST API of n2 named", port, err)
	}
}

// TestJanitor stands in for a caller that dies: its end of the pipe closes without a word.
func TestJanitor(t *testing.T) {
	for name, orderly := range map[string]bool{"the caller dies": false, "dismissed": true} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			dir = filepath.Join(dir, "cluster")
			if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
				t.Fatal(err)
			}
			c := &Cluster{dir: dir}
			sleeper, err := c.copyProgram("/bin/sleep")
			if err != nil {
				t.Fatal(err)
			}
			victim, err := startChild("sleep", exec.Command(sleeper, "600"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = send(victim.pid, c.owns, 9) }()
			j, err := hireJanitor(dir, false)
			if err != nil {
				t.Fatal(err)
			}
			if orderly {
				if err := j.dismiss(); err != nil {
					t.Fatal(err)
				}
				if !victim.running() {
					t.Error("a janitor that was dismissed has killed")
				}
				return
			}
			if err := j.word.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*child{victim, j.child} {
				select {
				case <-c.done:
				case <-time.After(30 * time.Second):
					t.Fatalf("%s still runs", c.name)
				}
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the directory is still there: %v", err)
			}
		})
	}
}
