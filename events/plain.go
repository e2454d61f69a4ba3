package events

import "strconv"

// Member records and the status are the texts that change most often, and a history grows with each failover. They are nearly
// always written in one plain form, compact and without escapes, which is read here; encoding/json reads all others.

// plainForm is what is still to be read.
type plainForm string

// readPlainMember reads a record in the plain form. It tells false if the text is in another one, or holds anything rare.
func readPlainMember(text string) (m MemberRecord, ok bool) {
	p := plainForm(text)
	ok = p.object(func(key string) bool { return p.memberField(key, &m) })
	return m, ok && p == ""
}

// readPlainStatus does the same for the status.
func readPlainStatus(text string) (r StatusRecord, ok bool) {
	p := plainForm(text)
	slot := func(name string) bool {
		n, ok := p.number(64)
		r.Slots[name] = LSN(n)
		return ok
	}
	ok = p.object(func(key string) bool {
		switch key {
		case "optime":
			n, ok := p.number(64)
			r.Optime = LSN(n)
			return ok
		case "slots":
			if r.Slots != nil {
				return false // twice
			}
			r.Slots = map[string]LSN{}
			return p.object(slot)
		}
		return false
	})
	return r, ok && p == ""
}

// readPlainHistory does the same for the history.
func readPlainHistory(text string) (rows []HistoryRow, ok bool) {
	p := plainForm(text)
	if !p.skip('[') {
		return nil, false
	}
	rows = []HistoryRow{}
	for !p.skip(']') {
		if len(rows) > 0 && !p.skip(',') {
			return nil, false
		}
		r, ok := p.historyRow()
		if !ok {
			return nil, false
		}
		rows = append(rows, r)
	}
	return rows, p == ""
}

// historyRow reads a row of three, four or five elements.
func (p *plainForm) historyRow() (r HistoryRow, ok bool) {
	if !p.skip('[') {
		return r, false
	}
	t, ok := p.number(32)
	if !ok || !p.skip(',') {
		return r, false
	}
	lsn, ok := p.number(64)
	r.Timeline, r.LSN = Timeline(t), LSN(lsn)
	for _, into := range []*string{&r.Reason, &r.Timestamp, &r.NewLeader} {
		if !ok || !p.skip(',') {
			break
		}
		*into, ok = p.text()
	}
	return r, ok && r.Reason != "" && p.skip(']')
}

// object reads an object of one field or more; field reads the value of a key.
func (p *plainForm) object(field func(key string) bool) bool {
	if !p.skip('{') {
		return false
	}
	for {
		key, ok := p.text()
		if !ok || !p.skip(':') || !field(key) {
			return false
		}
		if p.skip('}') {
			return true
		}
		if !p.skip(',') {
			return false
		}
	}
}

func (p *plainForm) memberField(key string, m *MemberRecord) (ok bool) {
	var n uint64
	switch key {
	case "conn_url":
		m.ConnURL, ok = p.text()
	case "api_url":
		m.APIURL, ok = p.text()
	case "state":
		m.State, ok = p.text()
	case "role":
		m.Role, ok = p.text()
	case "version":
		m.Version, ok = p.text()
	case "proxy_url":
		m.ProxyURL, ok = p.text()
	case "replication_state":
		m.ReplicationState, ok = p.text()
	case "xlog_location":
		n, ok = p.number(64)
		m.XlogLocation = LSN(n)
	case "receive_lsn":
		n, ok = p.number(64)
		m.ReceiveLSN = LSN(n)
	case "replay_lsn":
		n, ok = p.number(64)
		m.ReplayLSN = LSN(n)
	case "timeline":
		n, ok = p.number(32)
		m.Timeline = Timeline(n)
	case "pause":
		m.Pause, ok = p.truth()
	case "tags":
		t := &Tags{}
		m.Tags = t
		return p.object(func(key string) bool {
			if key != "nofailover" {
				return false
			}
			t.NoFailover, ok = p.truth()
			return ok
		})
	}
	return ok
}

// truth reads true or false.
func (p *plainForm) truth() (bool, bool) {
	for _, word := range [...]plainForm{"true", "false"} {
		if len(*p) >= len(word) && (*p)[:len(word)] == word {
			*p = (*p)[len(word):]
			return word == "true", true
		}
	}
	return false, false
}

func (p *plainForm) skip(c byte) bool {
	if len(*p) == 0 || (*p)[0] != c {
		return false
	}
	*p = (*p)[1:]
	return true
}

// text reads a quoted text of printable ASCII.
func (p *plainForm) text() (string, bool) {
	if !p.skip('"') {
		return "", false
	}
	for i := range len(*p) {
		switch c := (*p)[i]; {
		case c == '"':
			t := string((*p)[:i])
			*p = (*p)[i+1:]
			return t, true
		case c < ' ' || c > '~' || c == '\\':
			return "", false
		}
	}
	return "", false
}

// number reads decimal digits, without a zero before others.
func (p *plainForm) number(bits int) (uint64, bool) {
	i := 0
	for i < len(*p) && (*p)[i] >= '0' && (*p)[i] <= '9' {
		i++
	}
	if i > 1 && (*p)[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(string((*p)[:i]), 10, bits)
	*p = (*p)[i:]
	return n, err == nil
}

// AppendPlain appends the record as encoding/json writes it. It tells false, and what it appended is of no use, if the record holds anything rare.
func (m *MemberRecord) AppendPlain(b []byte) ([]byte, bool) {
	if m.CheckpointAfterPromo != nil || m.PendingRestart || len(m.PendingRestartReason) > 0 || m.ScheduledRestart != nil {
		return b, false
	}
	b, begin, ok := append(b, '{'), len(b)+1, true
	field := func(key string) {
		if len(b) > begin {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), key...), `":`...)
	}
	text := func(key, value string) {
		if value != "" {
			field(key)
			b = append(append(append(b, '"'), value...), '"')
			ok = ok && isPlain(value)
		}
	}
	number := func(key string, value uint64) {
		if value != 0 {
			field(key)
			b = strconv.AppendUint(b, value, 10)
		}
	}
	text("conn_url", m.ConnURL)
	text("api_url", m.APIURL)
	text("state", m.State)
	text("role", m.Role)
	text("version", m.Version)
	text("proxy_url", m.ProxyURL)
	if m.Tags != nil {
		rest := *m.Tags
		if rest.NoFailover = false; !m.Tags.NoFailover || !rest.None() {
			return b, false
		}
		field("tags")
		b = append(b, `{"nofailover":true}`...)
	}
	number("xlog_location", uint64(m.XlogLocation))
	number("receive_lsn", uint64(m.ReceiveLSN))
	number("replay_lsn", uint64(m.ReplayLSN))
	text("replication_state", m.ReplicationState)
	number("timeline", uint64(m.Timeline))
	if m.Pause {
		field("pause")
		b = append(b, "true"...)
	}
	return append(b, '}'), ok
}

// isPlain tells that encoding/json writes a text as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}
