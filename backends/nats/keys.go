package nats

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// readKey begins the token of the keys that linearizable reads write. No encoded name begins so: an
// equals sign is always followed by two upper-case hexadecimal digits.
const readKey = "=read"

// encodePath turns a path such as /service/batman/leader into a KV key: slashes become dots, bytes that
// a key may not hold become =XX. Empty segments are left out, as duplicate slashes are everywhere.
func encodePath(path string) string {
	var b strings.Builder
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		for i := range len(segment) {
			if c := segment[i]; plain(c) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "=%02X", c)
			}
		}
	}
	return b.String()
}

// plain tells whether a byte of a segment stands for itself. The dot and the equals sign are legal in KV keys, but have
// a meaning here.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// decodeKey is the inverse of encodePath, without the leading slash; ok is false for a key that
// encodePath cannot have made.
func decodeKey(key string) (path string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c == '.':
			b.WriteByte('/')
		case plain(c):
			b.WriteByte(c)
		case c == '=' && i+2 < len(key) && key[i+1:i+3] == strings.ToUpper(key[i+1:i+3]):
			raw, err := hex.DecodeString(key[i+1 : i+3])
			if err != nil || plain(raw[0]) {
				return "", false
			}
			b.WriteByte(raw[0])
			i += 2
		default:
			return "", false
		}
	}
	path = b.String()
	if path == "" || strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.Contains(path, "//") {
		return "", false
	}
	return path, true
}

// bucketName makes a legal bucket name of a namespace: letters, digits, underscore and dash.
func bucketName(namespace string) string {
	var b strings.Builder
	b.WriteString("regent-")
	for i := range len(namespace) {
		if c := namespace[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}
