package pgdriver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// target is a server to connect to.
type target struct {
	host     string // several, separated by commas, or a directory with a socket
	port     string
	database string
}

type kv struct{ key, value string }

// parseTarget reads a conn_url: postgres://host:port/database.
func parseTarget(connURL string) (target, error) {
	u, err := url.Parse(connURL)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the whole text could hold a password
		}
		return target{}, fmt.Errorf("read the connection URL of the upstream: %w", err)
	}
	t := target{host: u.Hostname(), port: u.Port(), database: strings.TrimPrefix(u.Path, "/")}
	if t.host == "" {
		t.host = u.Query().Get("host")
	}
	if t.port == "" {
		t.port = "5432"
	}
	if t.host == "" || hasControl(t.host) {
		return target{}, fmt.Errorf("read the connection URL of the upstream: it names no host")
	}
	return t, nil
}

// conninfo are libpq's keywords for the target, without secrets.
func (t target) conninfo(c Credentials) []kv {
	info := []kv{{"user", c.Username}, {"host", t.host}, {"port", t.port}}
	for _, k := range []kv{{"sslmode", c.SSLMode}, {"sslrootcert", c.SSLRootCert}, {"sslcert", c.SSLCert}, {"sslkey", c.SSLKey}} {
		if k.value != "" {
			info = append(info, k)
		}
	}
	return info
}

// givesUp are libpq's keywords by which a program that copies for hours notices within half a minute that the host of its source is dead. TCP
// alone notices after a quarter of an hour when something was sent, and after two hours when not.
func (d *Driver) givesUp() []kv {
	info := []kv{{"connect_timeout", "10"}, {"keepalives_idle", "10"}, {"keepalives_interval", "5"}, {"keepalives_count", "4"}}
	if d.version >= 12 {
		info = append(info, kv{"tcp_user_timeout", "30000"})
	}
	return info
}

// conninfoText renders keywords and values as libpq reads them.
func conninfoText(info []kv) string {
	parts := make([]string, len(info))
	for i, k := range info {
		parts[i] = k.key + "=" + quoteConninfo(k.value)
	}
	return strings.Join(parts, " ")
}

func quoteConninfo(v string) string {
	if v != "" && !strings.ContainsAny(v, ` '\`+"\t") {
		return v
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// writePgPass writes a password file for libpq: for every database of the target, replication too.
func writePgPass(path string, t target, c Credentials) error {
	if c.Password == "" {
		return nil
	}
	if hasControl(c.Password) {
		return hinted("write pgpass", errors.New("the password has control characters"), "choose a password without line breaks")
	}
	esc := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	var b strings.Builder
	for host := range strings.SplitSeq(t.host, ",") {
		if strings.HasPrefix(host, "/") {
			fmt.Fprintf(&b, "localhost:%s:*:%s:%s\n", t.port, esc.Replace(c.Username), esc.Replace(c.Password))
		}
		fmt.Fprintf(&b, "%s:%s:*:%s:%s\n", esc.Replace(host), t.port, esc.Replace(c.Username), esc.Replace(c.Password))
	}
	_, err := writeFile(path, b.String(), 0o600)
	return err
}

// connect opens a connection. Extra are run-time parameters such as replication.
func connect(ctx context.Context, t target, c Credentials, extra ...kv) (*pgconn.PgConn, error) {
	info := append(t.conninfo(c), kv{"dbname", t.database})
	cfg, err := pgconn.ParseConfig(conninfoText(info))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.address(), err)
	}
	cfg.Password, cfg.ValidateConnect = c.Password, nil // the environment has no say
	cfg.RuntimeParams = map[string]string{"application_name": "regent", "client_encoding": "UTF8"}
	for _, k := range extra {
		cfg.RuntimeParams[k.key] = k.value
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 5 * time.Second}
	cfg.DialFunc = dialer.DialContext
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w", t.address(), c.Username, err)
	}
	return conn, nil
}

func (t target) address() string {
	if strings.HasPrefix(t.host, "/") {
		return filepath.Join(t.host, ".s.PGSQL."+t.port)
	}
	return net.JoinHostPort(t.host, t.port)
}

// localTarget is the own server, at the place where it says it listens: that is right also while a
// changed address waits for a restart.
func localTarget(cfg *Config, f pidFile) (target, error) {
	t := target{database: cfg.Database, port: strconv.Itoa(f.port)}
	switch {
	case f.port == 0:
		return t, fmt.Errorf("connect to the local server: it does not listen yet")
	case (cfg.UseUnixSocket || f.listen == "") && f.socketDir != "":
		t.host = f.socketDir
	case f.listen == "":
		return t, fmt.Errorf("connect to the local server: it listens nowhere")
	case f.listen == "*" || f.listen == "0.0.0.0" || f.listen == "::":
		t.host = "localhost"
	default:
		t.host = f.listen
	}
	return t, nil
}

// text is the first column of the first row of an answer.
func text(rs []*pgconn.Result) string {
	if len(rs) == 0 || len(rs[0].Rows) == 0 || len(rs[0].Rows[0]) == 0 {
		return ""
	}
	return string(rs[0].Rows[0][0])
}

// ask runs statements in the simple protocol and returns their results.
func ask(ctx context.Context, conn *pgconn.PgConn, sql string) ([]*pgconn.Result, error) {
	return conn.Exec(ctx, sql).ReadAll()
}

// closeConn says goodbye within a second.
func closeConn(conn *pgconn.PgConn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the connection is of no more use, whatever happened
}

func sqlState(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}
