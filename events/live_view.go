package events

import (
	"slices"
	"strings"
)

// LiveView is a view that goes on being folded. It remembers the text of every key, so that a text is read once: most
// snapshots and many changes say again what is known, with at most another revision. The LiveView must not be copied: Copy gives a view that
// stays as it is when the LiveView goes on.
type LiveView struct {
	View
	texts []KeyValue // of every key that is there, sorted by it
}

// Copy is the view as it is now.
func (l *LiveView) Copy() View {
	v := l.View
	v.Members = slices.Clone(v.Members) // the only memory that a change writes into
	return v
}

// TakeSnapshot makes the view what ParseView gives for s. Of s it keeps the texts only.
func (l *LiveView) TakeSnapshot(s DCSSnapshot) {
	switch {
	case l.sameKeys(s.Keys):
		for i := range s.Keys {
			l.take(&l.texts[i], &s.Keys[i])
		}
	case sorted(s.Keys):
		l.merge(s.Keys)
	default:
		l.View, l.texts = ParseView(s), l.texts[:0]
		for i := range s.Keys {
			l.remember(s.Keys[i])
		}
		return
	}
	l.Term, l.Revision = s.Term, s.Revision
	for i := range s.Keys {
		l.Revision = max(l.Revision, s.Keys[i].Revision)
	}
}

// sorted tells that the keys are in order, and each is there once.
func sorted(keys []KeyValue) bool {
	for i := 1; i < len(keys); i++ {
		if keys[i-1].Key >= keys[i].Key {
			return false
		}
	}
	return true
}

// merge takes all keys that there are: those that came are read, those that went are deleted.
func (l *LiveView) merge(keys []KeyValue) {
	known := l.texts
	l.texts = make([]KeyValue, 0, len(keys))
	for len(known) > 0 || len(keys) > 0 {
		switch {
		case len(keys) == 0 || len(known) > 0 && known[0].Key < keys[0].Key:
			l.View.Apply(DCSChange{KeyValue: KeyValue{Key: known[0].Key}, Deleted: true})
			known = known[1:]
		case len(known) == 0 || keys[0].Key < known[0].Key:
			l.View.Apply(DCSChange{KeyValue: keys[0]})
			l.texts, keys = append(l.texts, keys[0]), keys[1:]
		default:
			l.texts = append(l.texts, known[0])
			l.take(&l.texts[len(l.texts)-1], &keys[0])
			known, keys = known[1:], keys[1:]
		}
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
	switch {
	case known.Value == now.Value:
		l.setRevision(now.Key, now.Revision)
	case !l.retake(now):
		l.View.Apply(DCSChange{KeyValue: *now})
	}
	*known = *now
}

// retake puts the new record of a member that is known in the place of the old one, where nothing is wrong with it or with any other key.
func (l *LiveView) retake(now *KeyValue) bool {
	name, ok := strings.CutPrefix(now.Key, KeyMembers)
	if !ok || len(l.Problems) > 0 {
		return false
	}
	m := l.Member(name)
	r, ok := readPlainMember(now.Value)
	if m == nil || !ok {
		return false
	}
	r.Name, r.Revision = m.Name, now.Revision
	*m, l.Revision = r, max(l.Revision, now.Revision)
	return true
}

// setRevision notes that a key was written again with the text that it had.
func (l *LiveView) setRevision(key string, revision uint64) {
	v := &l.View
	v.Revision = max(v.Revision, revision)
	if name, ok := strings.CutPrefix(key, KeyMembers); ok {
		if m := v.Member(name); m != nil {
			m.Revision = revision
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
