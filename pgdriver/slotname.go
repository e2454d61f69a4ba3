package pgdriver

import (
	"fmt"
	"strings"
)

// maxSlotName is PostgreSQL's NAMEDATALEN - 1.
const maxSlotName = 63

// SlotName is the name of a member's replication slot: lower case, "-" and "." become "_", anything else
// that a slot name cannot hold becomes uNNNN, and at most 63 characters. A slot name is its own slot name.
func SlotName(member string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(member) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case r == '-', r == '.':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "u%04d", r)
		}
	}
	s := b.String()
	return s[:min(len(s), maxSlotName)]
}
