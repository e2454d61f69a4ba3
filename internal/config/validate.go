package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Validate adds to Load the checks that look at this host: programs, directories, certificate
// files, addresses that no other host can reach. It uses no network and changes nothing.
func (c *Config) Validate() error {
	var errs Errors
	add := func(field, value, remedy string, args ...any) {
		errs = append(errs, &FieldError{Field: field, Value: value, Remedy: fmt.Sprintf(remedy, args...)})
	}
	for field, address := range map[string]string{
		"restapi.connect_address": c.RestAPI.ConnectAddress, "postgresql.connect_address": c.Postgresql.ConnectAddress,
	} {
		host, _, err := SplitHostPort(address)
		if err == nil && unreachableHost(host) {
			add(field, address, "other members cannot reach this host under it: set the address that they use")
		}
	}
	for field, path := range c.files() {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			add(field, path, "%v", errors.Unwrap(err))
		}
	}
	for _, name := range binaries {
		if _, err := c.Postgresql.Binary(name); err != nil && (name != "pg_rewind" || c.Postgresql.UsePgRewind) && name != "pg_isready" {
			add("postgresql.bin_dir", c.Postgresql.BinDir, "%s is not there: set bin_dir to the directory of PostgreSQL's programs", name)
		}
	}
	if err := c.checkDataDir(); err != nil {
		errs = append(errs, err)
	}
	if info, err := os.Lstat(c.Postgresql.PgPass); c.Postgresql.PgPass != "" && err == nil && !info.Mode().IsRegular() {
		add("postgresql.pgpass", c.Postgresql.PgPass, "is there and is no regular file: name another one")
	}
	sort.Slice(errs, func(i, j int) bool { return errs[i].Error() < errs[j].Error() })
	return errs.orNil()
}

func (c *Config) files() map[string]string {
	files := map[string]string{
		"restapi.certfile": c.RestAPI.CertFile, "restapi.keyfile": c.RestAPI.KeyFile, "restapi.cafile": c.RestAPI.CAFile,
		"ctl.cacert": c.Ctl.CACert, "ctl.certfile": c.Ctl.CertFile, "ctl.keyfile": c.Ctl.KeyFile,
		"postgresql.custom_conf": c.Postgresql.CustomConf,
	}
	if e := c.Etcd3; e != nil {
		files["etcd3.cacert"], files["etcd3.cert"], files["etcd3.key"] = e.CACert, e.Cert, e.Key
	}
	if e := c.Embedded; e != nil {
		files["embedded.tls.cacert"], files["embedded.tls.cert"], files["embedded.tls.key"] = e.TLS.CACert, e.TLS.Cert, e.TLS.Key
	}
	if n := c.Nats; n != nil {
		files["nats.cacert"], files["nats.cert"], files["nats.key"], files["nats.credentials"] = n.CACert, n.Cert, n.Key, n.Credentials
	}
	return files
}

func unreachableHost(host string) bool {
	if host == "" || host == "*" || strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

var majorInVersion = regexp.MustCompile(`\b(9\.\d+|\d+)`)

// checkDataDir wants a directory that is absent, empty, or of the same major version as the programs.
func (c *Config) checkDataDir() error {
	dir := c.Postgresql.DataDir
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return &FieldError{Field: "postgresql.data_dir", Value: dir, Remedy: fmt.Sprintf("cannot be read: %v", errors.Unwrap(err))}
	}
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return &FieldError{Field: "postgresql.data_dir", Value: dir,
			Remedy: "is neither empty nor a PostgreSQL data directory (no PG_VERSION): name another one, or empty it"}
	}
	have := strings.TrimSpace(string(text))
	if _, err := os.Stat(filepath.Join(dir, "global", "pg_control")); err != nil {
		return &FieldError{Field: "postgresql.data_dir", Value: dir,
			Remedy: "has a PG_VERSION and no global/pg_control: it is no complete data directory"}
	}
	want, err := c.programsMajor()
	if err != nil {
		return fmt.Errorf("postgresql.bin_dir: %w", err)
	}
	if want != have {
		return &FieldError{Field: "postgresql.data_dir", Value: dir,
			Remedy: fmt.Sprintf("is of version %s and the programs are of version %s: set bin_dir to those of version %s", have, want,
				have)}
	}
	return nil
}

func (c *Config) programsMajor() (string, error) {
	path, err := c.Postgresql.Binary("postgres")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	return majorInVersion.FindString(string(out)), nil
}
