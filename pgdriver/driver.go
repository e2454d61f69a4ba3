package pgdriver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// Driver drives the PostgreSQL server of one data directory.
type Driver struct {
	dataDir  string            // real path: what the kernel calls it
	programs map[string]string // name to path
	version  int               // major version of the programs
	log      *zap.Logger

	mu       sync.Mutex // guards what follows up to the blank line; never held while waiting
	cfg      Config
	dynamic  json.RawMessage
	merged   effective         // cfg and dynamic together; its maps are never changed
	upstream *events.Upstream  // that the recovery settings were last written for, nil: not in this life
	rejected map[string]string // parameters that the server refused, and why

	lifecycle chan struct{} // holds a token while an effect changes the data directory or the server
	private   atomic.Bool   // a server that runs now is a tool of an effect, not the member's
	// stopping tells that the server was told to stop: nothing connects to it any more.
	stopping atomic.Bool

	launching sync.Mutex // held while a postmaster is started and made known
	launched  *process   // the last postmaster that Start started, guarded by launching

	probe prober
}

// New checks the configuration and this machine. It starts nothing and changes nothing.
func New(cfg Config) (*Driver, error) {
	if err := cfg.normalize(); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		return nil, hinted("configure postgresql", errors.New("the agent runs as root, and PostgreSQL refuses to"),
			"run the agent as the user that owns the data directory, usually postgres")
	}
	found, err := cfg.findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := resolveDataDir(cfg.DataDir)
	if err != nil {
		return nil, hinted("check postgresql.data_dir", err, "create the directory above %s", cfg.DataDir)
	}
	if err := cfg.checkDataDir(dir); err != nil {
		return nil, err
	}
	cfg.DataDir = dir
	if cfg.PgPass == "" {
		cfg.PgPass = filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".pgpass")
	}
	if cfg.LogFile == "" {
		cfg.LogFile = dir + ".log"
	}
	d := &Driver{dataDir: dir, programs: found, log: cfg.Log, cfg: cfg, rejected: map[string]string{},
		lifecycle: make(chan struct{}, 1)}
	d.probe.init()
	if d.version, err = d.programVersion(); err != nil {
		return nil, err
	}
	if d.dynamic, err = d.firstDynamic(); err != nil {
		return nil, err
	}
	if d.merged, err = d.effective(cfg, d.dynamic); err != nil {
		return nil, err
	}
	return d, nil
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

func (d *Driver) programVersion() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := d.run(ctx, tool{op: "ask for the version of postgres", name: "postgres", args: []string{"--version"}})
	if err != nil {
		return 0, err
	}
	m := versionText.FindStringSubmatch(out)
	if m == nil {
		return 0, hinted("ask for the version of postgres", fmt.Errorf("it says %q", out), "set postgresql.bin_dir to a PostgreSQL installation")
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, fmt.Errorf("read the version of postgres: %w", err)
	}
	if major < 10 {
		return 0, hinted("check the version of postgres", fmt.Errorf("version %s is too old", m[0]), "upgrade to PostgreSQL 13 or newer")
	}
	return major, nil
}

// dynamicCache is where the last applied dynamic configuration is kept, under Patroni's name, so that
// either can take over from the other.
const dynamicCache = "patroni.dynamic.json"

func (d *Driver) firstDynamic() (json.RawMessage, error) {
	for _, doc := range []func() ([]byte, error){
		func() ([]byte, error) { return os.ReadFile(filepath.Join(d.dataDir, dynamicCache)) },
		func() ([]byte, error) { return d.cfg.BootstrapDynamic, nil },
	} {
		b, err := doc()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the cached dynamic configuration: %w", err)
		}
		if len(b) == 0 {
			continue
		}
		if _, err := d.effective(d.cfg, b); err != nil {
			d.log.Warn("dynamic configuration kept from before is not usable", zap.Error(err))
			continue
		}
		return b, nil
	}
	return json.RawMessage(`{}`), nil
}

// config returns the local configuration in force.
func (d *Driver) config() Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg
}

// SetLocal takes a local configuration read anew. What it changes for PostgreSQL takes effect with the
// next ApplyConfig; data_dir and bin_dir stay as they are until the agent is restarted.
func (d *Driver) SetLocal(cfg Config) error {
	old := d.config()
	if cfg.Now == nil {
		cfg.Now = old.Now
	}
	cfg.Log = old.Log
	if err := cfg.normalize(); err != nil {
		return err
	}
	cfg.DataDir, cfg.BinDir = old.DataDir, old.BinDir
	if cfg.PgPass == "" {
		cfg.PgPass = old.PgPass
	}
	if cfg.LogFile == "" {
		cfg.LogFile = old.LogFile
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	merged, err := d.effective(cfg, d.dynamic)
	if err != nil {
		return err
	}
	d.cfg, d.merged = cfg, merged
	clear(d.rejected)
	return nil
}

// exclusive waits for its turn to change the server or its data directory.
func (d *Driver) exclusive(ctx context.Context) (release func(), err error) {
	select {
	case d.lifecycle <- struct{}{}:
		return func() { <-d.lifecycle }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another effect on the data directory: %w", ctx.Err())
	}
}

// running returns a handle to the postmaster, or ErrNotRunning. The caller closes it.
func (d *Driver) running() (*process, pidFile, error) {
	p, f, err := findPostmaster(d.dataDir)
	if err == nil && p == nil {
		err = ErrNotRunning
	}
	return p, f, err
}

// inForce is the merged configuration.
func (d *Driver) inForce() effective {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.merged
}

// wantedFixed are the parameters of the command line that the next start would use.
func (d *Driver) wantedFixed() map[string]string { return d.inForce().fixed }
