package events

import (
	"slices"
	"strings"
)

// LiveView is a view that goes on being folded. It remembers the text of every key, so that a text is read once: most
// snapshots and many changes say again what is known, with at most another revision. A copy of View stays as it is
// when the LiveView goes on; the LiveView itself must not be copied.
type LiveView struct {
	View
	texts []KeyValue // of every key that is there, sorted by it
}

// TakeSnapshot makes the view what ParseView gives for s. Of s it keeps the texts only.
func (l *LiveView) TakeSnapshot(s DCSSnapshot) {
	if !l.sameKeys(s.Keys) {
		l.View, l.texts = ParseView(s), l.texts[:0]
		for i := range s.Keys {
			l.remember(s.Keys[i])
		}
		return
	}
	l.Revision, l.Term = s.Revision, s.Term
	for i := range s.Keys {
		l.take(&l.texts[i], &s.Keys[i])
	}
}

func (l *LiveView) sameKeys(keys []KeyValue) bool {
	if len(keys) != len(l.texts) || len(keys) == 0 {
		return false
	}
	for i := range keys {
		if keys[i].Key != l.texts[i].Key {
			return false
		}
	}
	return true
}

// Apply folds one change into the view, as View.Apply does.
func (l *LiveView) Apply(c DCSChange) {
	i, found := l.find(c.Key)
	if found && !c.Deleted {
		l.take(&l.texts[i], &c.KeyValue)
		return
	}
	l.View.Apply(c)
	if found {
		l.texts = slices.Delete(l.texts, i, i+1)
	} else if !c.Deleted {
		l.texts = slices.Insert(l.texts, i, c.KeyValue)
	}
}

func (l *LiveView) find(key string) (int, bool) {
	return slices.BinarySearchFunc(l.texts, key, func(kv KeyValue, key string) int { return strings.Compare(kv.Key, key) })
}

// remember notes a key's text; of a key that a snapshot names twice the later one counts, as in ParseView.
func (l *LiveView) remember(kv KeyValue) {
	if i, found := l.find(kv.Key); found {
		l.texts[i] = kv
	} else {
		l.texts = slices.Insert(l.texts, i, kv)
	}
}

// take folds a key that is there already: a text that is as before has only another revision.
func (l *LiveView) take(known, now *KeyValue) {
	if known.Value == now.Value {
		l.setRevision(now.Key, now.Revision)
	} else {
		l.View.Apply(DCSChange{KeyValue: *now})
	}
	*known = *now
}

// setRevision notes that a key was written again with the text that it had.
func (v *View) setRevision(key string, revision uint64) {
	v.Revision = max(v.Revision, revision)
	if name, ok := strings.CutPrefix(key, KeyMembers); ok {
		if m := v.Member(name); m != nil && m.Revision != revision {
			v.Members = slices.Clone(v.Members)
			v.Member(name).Revision = revision
		}
		return
	}
	switch key {
	case KeyInitialize:
		v.InitializeRevision = revision
	case KeyLeader:
		v.LeaderRevision = revision
	case KeyConfig:
		v.ConfigRevision = revision
	case KeyFailover:
		v.Failover.Revision = revision
	case KeySync:
		v.SyncRevision = revision
	}
}
