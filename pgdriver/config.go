package pgdriver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// Credentials are those of one of the three users. They are sent only in the ways that libpq sends them.
type Credentials struct {
	Username, Password                    string
	SSLMode, SSLRootCert, SSLCert, SSLKey string
}

// Config is the local configuration of one PostgreSQL server.
type Config struct {
	Name  string // of the member; becomes application_name, so synchronous_standby_names knows it by this
	Scope string // of the cluster; becomes cluster_name
	// DataDir must be owned by the user that the agent runs as: PostgreSQL refuses any other.
	DataDir string
	// BinDir holds PostgreSQL's programs, all of one version, that of the data directory. Empty: PATH.
	BinDir          string
	ListenAddresses string // comma separated; a change takes effect at the next restart
	Port            int
	Database        string // that local connections use; "postgres" if empty

	Superuser   Credentials // local connections; the role is created at bootstrap
	Replication Credentials // streaming and base backups
	Rewind      Credentials // pg_rewind; the superuser if empty

	Parameters   map[string]string // postgresql.parameters of the local file; controlled ones are ignored
	PgHBA        []string          // lines of pg_hba.conf; empty: those of the dynamic configuration, or the file is left alone
	PgIdent      []string
	RecoveryConf map[string]string // extra recovery parameters, never recovery_target*
	// PgPass is the file with the password of the upstream, mode 0600; the server reads it too.
	// Empty: a hidden file beside the data directory.
	PgPass        string
	UseUnixSocket bool
	SocketDir     string // becomes unix_socket_directories; empty: what the parameters or PostgreSQL's default say
	// LogFile takes what the server writes to stdout and stderr. Empty: <data_dir>.log.
	LogFile string

	Initdb        []string // options, already rendered as --k=v
	BootstrapHBA  []string // appended to pg_hba.conf after initdb, if no pg_hba is configured
	PostBootstrap string   // command to run once against the new primary
	Basebackup    []string // options for pg_basebackup, already rendered
	// BootstrapDynamic is the dynamic configuration in force until another was applied.
	BootstrapDynamic json.RawMessage

	// StartTimeout is how long Start waits for the server to accept connections; it goes on starting after.
	StartTimeout time.Duration
	// ProbePeriod is the time between two looks at a settled server; QueryTimeout bounds the
	// monitoring query. Both must be well below the time in which a hung server is to be noticed.
	ProbePeriod  time.Duration
	QueryTimeout time.Duration

	Now func() events.Instant
	Log *zap.Logger
}

func (c *Config) bad(field, value, want string) error {
	return hinted("configure postgresql", fmt.Errorf("%s = %q: want %s", field, value, want), "set %s to %s", field, want)
}

// normalize fills defaults and checks what needs no look at the machine.
func (c *Config) normalize() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, c.bad("name", "", "the name of this member"))
	}
	if c.Scope == "" {
		errs = append(errs, c.bad("scope", "", "the name of the cluster"))
	}
	if !filepath.IsAbs(c.DataDir) || filepath.Clean(c.DataDir) == "/" {
		errs = append(errs, c.bad("postgresql.data_dir", c.DataDir, "an absolute path of a directory for PostgreSQL alone"))
	}
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, c.bad("postgresql.listen", strconv.Itoa(c.Port), "addresses and a port from 1 to 65535"))
	}
	errs = append(errs, checkParameters("postgresql.parameters", c.Parameters), checkParameters("postgresql.recovery_conf", c.RecoveryConf),
		checkLines("postgresql.pg_hba", c.PgHBA), checkLines("postgresql.pg_ident", c.PgIdent), checkLines("bootstrap.pg_hba", c.BootstrapHBA))
	for field, s := range map[string]string{"name": c.Name, "scope": c.Scope, "postgresql.listen": c.ListenAddresses,
		"postgresql.authentication.superuser.username": c.Superuser.Username, "postgresql.authentication.replication.username": c.Replication.Username} {
		if hasControl(s) {
			errs = append(errs, c.bad(field, s, "no control characters"))
		}
	}
	if c.Superuser.Username == "" {
		c.Superuser.Username = "postgres"
		if u, err := user.Current(); err == nil {
			c.Superuser.Username = u.Username // what initdb would choose
		}
	}
	if c.Replication.Username == "" {
		c.Replication = c.Superuser
	}
	if c.Rewind.Username == "" {
		c.Rewind = c.Superuser
	}
	if c.Database == "" {
		c.Database = "postgres"
	}
	if c.ListenAddresses == "" {
		c.ListenAddresses = "localhost"
	}
	c.StartTimeout = orDefault(c.StartTimeout, 60*time.Second)
	c.ProbePeriod = orDefault(c.ProbePeriod, time.Second)
	c.QueryTimeout = orDefault(c.QueryTimeout, 1500*time.Millisecond)
	if c.Now == nil {
		errs = append(errs, errors.New("configure postgresql: no clock"))
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return errors.Join(errs...)
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// resolveDataDir returns the real path, which is how the kernel will name it. The directory itself need
// not exist yet.
func resolveDataDir(path string) (string, error) {
	path = filepath.Clean(path)
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		return resolved, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("resolve %s: %w", path, err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("resolve the directory above %s: %w", path, err)
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// checkDataDir refuses what PostgreSQL would refuse later and less clearly.
func (c *Config) checkDataDir(dir string) error {
	st, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := unixAccess(filepath.Dir(dir)); err != nil {
			return hinted("check postgresql.data_dir", fmt.Errorf("%q does not exist and cannot be created: %w", dir, err),
				"create %s, owned by the user of the agent, with mode 0700", dir)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("check postgresql.data_dir: %w", err)
	}
	if !st.IsDir() {
		return c.bad("postgresql.data_dir", dir, "a directory")
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if ok && int(sys.Uid) != os.Geteuid() {
		return hinted("check postgresql.data_dir", fmt.Errorf("%q is owned by user %d, the agent runs as user %d", dir, sys.Uid, os.Geteuid()),
			"run the agent as the owner of the directory, or chown it: PostgreSQL refuses a directory of somebody else")
	}
	return nil
}

// programs are those that a member needs.
var programs = []string{"postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"}

// findPrograms returns the path of each program.
func (c *Config) findPrograms() (map[string]string, error) {
	found := make(map[string]string, len(programs))
	var missing []string
	for _, name := range programs {
		path, err := lookProgram(c.BinDir, name)
		if err != nil {
			missing = append(missing, name)
			continue
		}
		found[name] = path
	}
	if len(missing) > 0 {
		where := c.BinDir
		if where == "" {
			where = "PATH"
		}
		return nil, hinted("check postgresql.bin_dir", fmt.Errorf("%q holds no %s", where, strings.Join(missing, ", ")),
			"set postgresql.bin_dir to the directory of PostgreSQL's programs, such as /usr/lib/postgresql/15/bin, and install the server package")
	}
	return found, nil
}
