package agent

import (
	"sync"

	"github.com/regent-ha/regent/events"
)

// documents keeps secrets out of the engine, and so out of the event log: facts are redacted before they are
// queued, and what an effect carries of a redacted text is put back when it is performed.
type documents struct {
	mu    sync.Mutex
	known map[string]string // redacted text to the real one, for the few texts that had secrets
}

const documentsMax = 64

func newDocuments() *documents { return &documents{known: map[string]string{}} }

// redact returns the fact without secrets and remembers the texts that it changed.
func (d *documents) redact(f events.Fact) events.Fact {
	clean := events.Redact(f)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f := f.(type) {
	case events.Started:
		d.note(string(clean.(events.Started).Member.Bootstrap), string(f.Member.Bootstrap))
	case events.DCSSnapshot:
		c, ok := clean.(events.DCSSnapshot)
		if !ok || len(c.Keys) != len(f.Keys) {
			return clean
		}
		for i := range f.Keys {
			d.note(c.Keys[i].Value, f.Keys[i].Value)
		}
	case events.DCSChange:
		d.note(clean.(events.DCSChange).Value, f.Value)
	}
	return clean
}

func (d *documents) note(clean, real string) {
	if clean == real {
		return
	}
	if len(d.known) >= documentsMax {
		clear(d.known) // only the present document is ever asked for, and it comes again with every snapshot
	}
	d.known[clean] = real
}

// real is the text with its secrets.
func (d *documents) real(text string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.known[text]; ok {
		return r
	}
	return text
}
