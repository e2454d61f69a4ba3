package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// newestBinDir finds the newest of Debian's PostgreSQL installations, empty if there is none.
func newestBinDir() string { return newestBinDirBelow("/usr/lib/postgresql") }

func newestBinDirBelow(root string) string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return "" // not a Debian layout: PATH is used
	}
	best, newest := "", 0.0
	for _, e := range entries {
		version, err := strconv.ParseFloat(e.Name(), 64) // "9.6" and "15"
		dir := filepath.Join(root, e.Name(), "bin")
		if err == nil && version > newest && isExecutable(filepath.Join(dir, "postgres")) {
			best, newest = dir, version
		}
	}
	return best
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Binary is the path of one of PostgreSQL's programs, under the name that bin_name gives it.
func (p *Postgresql) Binary(name string) (string, error) {
	if other := p.BinName[name]; other != "" {
		name = other
	}
	if p.BinDir == "" {
		return exec.LookPath(name)
	}
	path := filepath.Join(p.BinDir, name)
	if !isExecutable(path) {
		return "", &os.PathError{Op: "find program", Path: path, Err: os.ErrNotExist}
	}
	return path, nil
}
