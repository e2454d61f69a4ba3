package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Progress is a running summary of a writer's acknowledged writes. Reading it costs what was added since the last
// time, however long the writer has been running. It is for one goroutine.
type Progress struct {
	Acked   int   // how many writes were acknowledged
	Last    int64 // the number of the last one
	At      time.Time
	Longest time.Duration // between two acknowledged writes
}

// Read takes in what was acknowledged since the last time.
func (p *Progress) Read(w *Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.acks[p.Acked:] {
		if !p.At.IsZero() {
			p.Longest = max(p.Longest, a.Acked.Sub(p.At))
		}
		p.At, p.Last = a.Acked, a.N
		p.Acked++
	}
}

// AgentFrozen tells whether the agent's process is stopped.
func (m *Member) AgentFrozen() bool {
	pid := m.AgentPID()
	if pid == 0 {
		return false
	}
	st, err := readStat(pid)
	return err == nil && st.state == 'T'
}

// SharedMemory is the System V segment that a postmaster holds for as long as it lives, and leaves behind when it is
// killed and never started again.
type SharedMemory struct {
	ID      int `json:"id"`
	Creator int `json:"creator"` // the postmaster
}

// Postmaster reads postmaster.pid. alive tells whether the process it names is PostgreSQL in this data directory; the
// file outlives a killed one.
func (m *Member) Postmaster() (mem SharedMemory, alive bool, err error) {
	return readPostmaster(m.DataDir)
}

func readPostmaster(dataDir string) (mem SharedMemory, alive bool, err error) {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return mem, false, err
	}
	lines := strings.Split(string(text), "\n")
	if mem.Creator, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil {
		return mem, false, fmt.Errorf("read postmaster.pid: %w", err)
	}
	mem.ID = -1
	if len(lines) > 6 {
		if f := strings.Fields(lines[6]); len(f) == 2 { // key and number; a starting server has not written it yet
			if id, err := strconv.Atoi(f[1]); err == nil {
				mem.ID = id
			}
		}
	}
	p, ok := look(mem.Creator)
	return mem, ok && p.isPostgres(dataDir), nil
}
