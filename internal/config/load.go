package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

const defaultPgCtlTimeout = 60 * time.Second

// Load reads the agent's configuration from a file, or from all .yml and .yaml files of a
// directory in the order of their names, with the environment patched over it. With an empty path
// the environment alone is read. The error is an Errors with everything that is wrong.
func Load(path string) (*Config, []Warning, error) {
	return load(path, os.Environ(), true)
}

// LoadClient reads the same for the operator's tools, which need neither a name nor PostgreSQL.
func LoadClient(path string) (*Config, []Warning, error) {
	return load(path, os.Environ(), false)
}

func load(path string, environ []string, agent bool) (*Config, []Warning, error) {
	c := defaults()
	f := &findings{}
	if err := c.readTree(path, environ, f); err != nil {
		return nil, f.warnings, Errors{err}
	}
	c.read(f)
	if agent {
		c.require(f)
	}
	sort.SliceStable(f.warnings, func(i, j int) bool { return f.warnings[i].Field < f.warnings[j].Field })
	sort.SliceStable(f.errs, func(i, j int) bool { return f.errs[i].Error() < f.errs[j].Error() })
	if err := f.errs.orNil(); err != nil {
		return nil, f.warnings, err
	}
	return c, f.warnings, nil
}

// readTree fills c.tree from the files and the environment.
func (c *Config) readTree(path string, environ []string, f *findings) error {
	env := readEnvironment(environ)
	if path == "" {
		if doc := env["PATRONI_CONFIGURATION"]; doc != "" {
			return c.readDocument("PATRONI_CONFIGURATION", []byte(doc), f)
		}
		c.tree = newMap("environment")
	} else if err := c.readPath(path, f); err != nil {
		return err
	}
	if patch := environmentPatch(env, c.tree, f); len(patch.keys) > 0 {
		c.tree.patch(patch)
		c.Sources = append(c.Sources, "environment")
	}
	if path == "" && len(c.tree.keys) == 0 {
		return fmt.Errorf("no configuration: name a file or a directory, or set PATRONI_… variables")
	}
	return nil
}

func (c *Config) readPath(path string, f *findings) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = yamlFiles(path); err != nil {
			return err
		}
	}
	c.tree = newMap(path)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		whole := c.tree
		if err := c.readDocument(file, text, f); err != nil {
			return err
		}
		whole.patch(c.tree)
		c.tree = whole
	}
	return nil
}

func (c *Config) readDocument(name string, text []byte, f *findings) error {
	r := &yamlReader{file: name}
	tree, err := r.document(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	f.warnings = append(f.warnings, r.warnings...)
	if err != nil {
		return err
	}
	c.tree = tree.clone()
	c.Sources = append(c.Sources, name)
	return nil
}

func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var files []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // follows the symbolic links of a mounted directory
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if info.Mode().IsRegular() && (strings.HasSuffix(e.Name(), ".yml") || strings.HasSuffix(e.Name(), ".yaml")) {
			files = append(files, path)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read configuration: no .yml or .yaml file in directory %s", dir)
	}
	sort.Strings(files)
	return files, nil
}
