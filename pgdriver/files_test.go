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
