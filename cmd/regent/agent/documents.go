package agent

import (
	"fmt"
	"strings"
	"sync"

	"github.com/regent-ha/regent/events"
)

// documents keeps secrets out of the engine, and so out of the event log: facts are redacted before they are
// queued, and what an effect carries of a redacted configuration is put back when it is performed.
//
// A change that alters only a secret leaves the redacted text as it was. The real text is therefore always that of the
// newest revision seen; the engine applies a configuration again when its revision has changed, not its text.
type documents struct {
	mu    sync.Mutex
	store vault // the key config: it rules wherever the same text came from both
	local vault // bootstrap.dcs of the local file

	newest uint64 // revision of the newest snapshot or change
	behind int    // snapshots in a row that were older
}

// regressAfter is how many snapshots in a row must be older until the store is believed to have gone back, as after
// a restore from a backup. A single one was read before the changes that came since.
const regressAfter = 3

func newDocuments() *documents { return &documents{} }

// redact returns the fact without secrets and remembers the configuration that it held.
func (d *documents) redact(f events.Fact) events.Fact {
	clean := events.Redact(f)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f := f.(type) {
	case events.Started:
		if c, ok := clean.(events.Started); ok {
			d.local.keep(string(c.Member.Bootstrap), string(f.Member.Bootstrap), 0)
		}
	case events.OperatorAsked:
		if c, ok := clean.(events.OperatorAsked); ok && f.Request.Member != nil {
			d.local.keep(string(c.Request.Member.Bootstrap), string(f.Request.Member.Bootstrap), 0)
		}
	case events.DCSSnapshot:
		if c, ok := clean.(events.DCSSnapshot); ok {
			d.keepSnapshot(c, f)
		}
	case events.DCSChange:
		d.newest = max(d.newest, f.Revision)
		if c, ok := clean.(events.DCSChange); ok && f.Key == events.KeyConfig && !f.Deleted {
			d.store.keep(c.Value, f.Value, f.Revision)
		}
	}
	return clean
}

func (d *documents) keepSnapshot(clean, whole events.DCSSnapshot) {
	if whole.Revision >= d.newest {
		d.behind = 0
	} else if d.behind++; d.behind >= regressAfter {
		d.behind, d.store = 0, vault{}
	}
	if d.behind == 0 {
		d.newest = whole.Revision
	}
	for i := range whole.Keys {
		if kv := &whole.Keys[i]; kv.Key == events.KeyConfig {
			d.store.keep(clean.Keys[i].Value, kv.Value, kv.Revision)
		}
	}
}

// real is the configuration with its secrets. It is an error if they are not known, for a redacted text must
// never be written anywhere.
func (d *documents) real(text string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.store.find(text); e != nil {
		return e.whole, nil
	}
	if e := d.local.find(text); e != nil {
		return e.whole, nil
	}
	if strings.Contains(text, events.Redacted) {
		return "", fmt.Errorf("the configuration of this revision is not known any more: its secrets would be written as %s", events.Redacted)
	}
	return text, nil
}

// vault holds the last few documents of one source, newest last.
type vault struct{ list []secretText }

type secretText struct {
	clean, whole string
	revision     uint64
}

// vaultMax covers the effects that may be under way with an older text.
const vaultMax = 8

func (v *vault) find(clean string) *secretText {
	for i := range v.list {
		if v.list[i].clean == clean {
			return &v.list[i]
		}
	}
	return nil
}

// keep notes a document, unless it holds no secret or a newer one reads the same.
func (v *vault) keep(clean, whole string, revision uint64) {
	if clean == whole && !strings.Contains(clean, events.Redacted) {
		return
	}
	if e := v.find(clean); e != nil {
		if revision >= e.revision {
			e.whole, e.revision = whole, revision
		}
		return
	}
	if len(v.list) == vaultMax {
		v.list = append(v.list[:0], v.list[1:]...)
	}
	v.list = append(v.list, secretText{clean, whole, revision})
}
