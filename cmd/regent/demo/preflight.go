package demo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// programs are those of PostgreSQL that a member needs.
var programs = []string{"postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"}

// checkMachine says what is missing before anything is started.
func checkMachine(o *Options) error {
	if err := findPostgres("/"); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if _, err := user.Lookup(o.User); err != nil {
		return fmt.Errorf("PostgreSQL refuses to run as root, and there is no user %q to run it as: install PostgreSQL's package, "+
			"name another user with --user, or start the demo as an ordinary user", o.User)
	}
	return reachable(o.Dir)
}

// findPostgres looks where the agent will look: Debian's layout, then PATH.
func findPostgres(root string) error {
	if dirs, err := filepath.Glob(filepath.Join(root, "usr/lib/postgresql/*/bin/postgres")); err == nil && len(dirs) > 0 {
		var missing []string
		for _, p := range programs {
			if found, err := filepath.Glob(filepath.Join(root, "usr/lib/postgresql/*/bin", p)); err != nil || len(found) == 0 {
				missing = append(missing, p)
			}
		}
		return missingError(missing, "")
	}
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	elsewhere, err := filepath.Glob(filepath.Join(root, "usr/pgsql-*/bin/postgres"))
	if err != nil || len(elsewhere) == 0 {
		return missingError(missing, "")
	}
	return missingError(missing, filepath.Dir(elsewhere[len(elsewhere)-1]))
}

func missingError(missing []string, elsewhere string) error {
	if len(missing) == 0 {
		return nil
	}
	what := "PostgreSQL's programs are not installed, or not in PATH: " + strings.Join(missing, ", ")
	if elsewhere != "" {
		return errors.New(what + "\nThey seem to be in " + elsewhere + ": PATH=" + elsewhere + ":$PATH regent demo")
	}
	return errors.New(what + `
Install the server, version 13 or newer:
  Debian, Ubuntu       apt install postgresql
  Fedora, RHEL         dnf install postgresql-server postgresql-contrib
  SUSE                 zypper install postgresql-server
  Alpine               apk add postgresql
Nothing has to be configured or started: the demo makes servers of its own.`)
}

// reachable checks that another user can reach the directory.
func reachable(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("the demo's directory: %w", err)
	}
	for d := filepath.Dir(dir); ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("the demo's directory: %w", err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the members run as another user, who cannot reach %s because of the permissions of %s: choose another directory with --dir",
				dir, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
