package postgres

// Ledger is what clients know of their commits, and what judges ask. Its cost is by runs of ids, not by ids.
type Ledger struct {
	next         uint64
	acknowledged Ranges
	refused      uint64
	unanswered   Ranges
}

// Write sends a commit with the next id to a server and keeps its answer. told, if not nil, hears it too. The id is returned.
func (l *Ledger) Write(s *Server, told func(id uint64, a Answer)) uint64 {
	l.next++
	id := l.next
	s.Write(id, func(a Answer) {
		switch a {
		case Acknowledged:
			l.acknowledged.Add(id)
		case Refused:
			l.refused++
		case NoAnswer:
			l.unanswered.Add(id)
		}
		if told != nil {
			told(id, a)
		}
	})
	return id
}

// Acknowledged are the ids that clients were told are there. The set is the ledger's own.
func (l *Ledger) Acknowledged() Ranges { return l.acknowledged }

// Unanswered are those that may be there or not.
func (l *Ledger) Unanswered() Ranges { return l.unanswered }

// Refused is how many were not done, for sure.
func (l *Ledger) Refused() uint64 { return l.refused }

// Sent is how many were asked for.
func (l *Ledger) Sent() uint64 { return l.next }

// Lost are the acknowledged ids that a server does not have on disk.
func (l *Ledger) Lost(on *Server) Ranges { return l.acknowledged.Without(on.Holds()) }

// Found are the servers that have a commit on disk.
func (l *Ledger) Found(c *Cluster, id uint64) []string {
	var names []string
	for _, s := range c.servers {
		if s.Has(id) {
			names = append(names, s.name)
		}
	}
	return names
}
