package demo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func silent(string) {}

func TestHomeIsTakenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	h, err := openHome(t.Context(), dir, silent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(t.Context(), dir, silent); err == nil || !strings.Contains(err.Error(), "a demo runs already") {
		t.Errorf("second demo: %v, want a refusal", err)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// What a killed demo left is cleaned by the next.
func TestHomeCleansLeftovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	h, err := openHome(t.Context(), dir, silent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.cluster(), "n1", "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.lock.Close(); err != nil { // as the kernel does for a killed process
		t.Fatal(err)
	}
	said := ""
	h, err = openHome(t.Context(), dir, func(s string) { said = s })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "earlier demo") {
		t.Errorf("said %q of the leftovers", said)
	}
	if _, err := os.Lstat(h.cluster()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the members' directory is still there: %v", err)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
}

func TestHomeRefusesForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(t.Context(), dir, silent); err == nil || !strings.Contains(err.Error(), "no demo made it") {
		t.Errorf("error %v, want a refusal", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := openHome(t.Context(), link, silent); err == nil || !strings.Contains(err.Error(), "not a directory of this user") {
		t.Errorf("error %v, want a refusal of a link", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "precious")); err != nil {
		t.Error(err)
	}
}
