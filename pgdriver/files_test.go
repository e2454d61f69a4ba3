package pgdriver

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyAnEmptyLockFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "postmaster.pid")
	for _, text := range []string{"", "12345\n/somewhere\n"} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		must(t, removeEmptyLock(dir))
		if there, err := exists(path); err != nil || there != (text != "") {
			t.Errorf("a lock file holding %q: there afterwards: %v, %v", text, there, err)
		}
	}
	must(t, os.Remove(path))
	must(t, removeEmptyLock(dir))
}

func TestCopyLabelled(t *testing.T) {
	for _, c := range []struct {
		name, label string
		copied      bool
	}{
		{"no label", "", false},
		{"a base backup", "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n", true},
		{"what pg_rewind made", "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nBACKUP METHOD: pg_rewind\nBACKUP FROM: standby\n", true},
		{"a primary in an exclusive backup", "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nBACKUP METHOD: pg_start_backup\nBACKUP FROM: primary\n", false},
	} {
		dir := t.TempDir()
		if c.label != "" {
			must(t, os.WriteFile(filepath.Join(dir, "backup_label"), []byte(c.label), 0o600))
		}
		if copied, err := copyLabelled(dir); err != nil || copied != c.copied {
			t.Errorf("%s: %v, %v", c.name, copied, err)
		}
	}
}
