package postgres

import "slices"

// Range is a run of ids, both ends included.
type Range struct{ First, Last uint64 }

// Ranges is a set of ids, as runs in order that do not touch. Adding ids in about their order costs nothing to speak of.
type Ranges []Range

// Add puts an id into the set.
func (r *Ranges) Add(id uint64) { r.AddRange(id, id) }

// AddRange puts a run of ids into the set.
func (r *Ranges) AddRange(first, last uint64) {
	s := *r
	if n := len(s); n > 0 && first >= s[n-1].First { // nearly always
		if first <= s[n-1].Last+1 {
			s[n-1].Last = max(s[n-1].Last, last)
			return
		}
		s = append(s, Range{first, last})
		*r = s
		return
	}
	i := s.search(first)
	if i > 0 && s[i-1].Last+1 >= first {
		i--
		first = s[i].First
	}
	j := i
	for j < len(s) && s[j].First <= last+1 {
		last = max(last, s[j].Last)
		j++
	}
	*r = slices.Replace(s, i, j, Range{first, last})
}

// search returns the place of the first run that begins at id or later.
func (r Ranges) search(id uint64) int {
	i, _ := slices.BinarySearchFunc(r, id, func(x Range, id uint64) int {
		if x.First < id {
			return -1
		}
		return 1
	})
	return i
}

// Has tells whether an id is in the set.
func (r Ranges) Has(id uint64) bool {
	i := r.search(id + 1)
	return i > 0 && r[i-1].Last >= id
}

// Len is the number of ids.
func (r Ranges) Len() uint64 {
	var n uint64
	for _, x := range r {
		n += x.Last - x.First + 1
	}
	return n
}

// Without returns the ids of r that are not in o.
func (r Ranges) Without(o Ranges) Ranges {
	var left Ranges
	j := 0
	for _, x := range r {
		at := x.First
		for j < len(o) && o[j].Last < at {
			j++
		}
		for k := j; at <= x.Last; k++ {
			if k == len(o) || o[k].First > x.Last {
				left = append(left, Range{at, x.Last})
				break
			}
			if o[k].First > at {
				left = append(left, Range{at, o[k].First - 1})
			}
			at = max(at, o[k].Last+1)
		}
	}
	return left
}
