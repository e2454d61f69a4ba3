package ctl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/regent-ha/regent/internal/config"
)

// Connect reads the configuration and opens what the verb needs: the store, or with Options.URL one
// member's REST API. An empty scope is the configuration's.
func Connect(ctx context.Context, o Options, scope string) (*Session, error) {
	c, err := readConfig(o)
	if err != nil {
		return nil, err
	}
	api, err := newAPI(c, o.Insecure)
	if err != nil {
		return nil, err
	}
	if o.URL != "" {
		target := o.URL
		if !strings.Contains(target, "://") {
			target = "http://" + target
		}
		source := &RESTSource{API: api, URL: target}
		s := NewSession(o, source, api, scope)
		return s, s.checkScope(ctx, scope)
	}
	if o.DCSURL != "" {
		if err := useDCSURL(c, o.DCSURL); err != nil {
			return nil, err
		}
	}
	if scope == "" {
		scope = c.Scope
	}
	if scope == "" {
		return nil, &ExitError{Code: ExitUsage, Message: "the name of the cluster is not known: name it, or set scope in the configuration"}
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	store, err := openStore(ctx, c, scope)
	if err != nil {
		return nil, err
	}
	return NewSession(o, &StoreSource{store, scope}, api, scope), nil
}

// checkScope learns the cluster's name from the member, and refuses another one than was asked for.
func (s *Session) checkScope(ctx context.Context, asked string) error {
	c, err := s.cluster(ctx)
	if err != nil {
		return err
	}
	if asked != "" && asked != c.Scope {
		return fail("the member at %s is of cluster %s, not %s", s.URL, c.Scope, asked)
	}
	s.Scope = c.Scope
	return nil
}

// readConfig finds the configuration: the file that was named, else a default file, else the environment.
func readConfig(o Options) (*config.Config, error) {
	path := o.ConfigFile
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			return nil, fail("Provided config file %s not existing or no read rights. Check the -c/--config-file parameter", path)
		}
	} else {
		path = defaultConfigFile()
	}
	if path == "" && !environmentConfigures() {
		path = os.DevNull
	}
	c, _, err := config.LoadClient(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s:\n%w", path, err)
	}
	return c, nil
}

func environmentConfigures() bool {
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "PATRONI_") {
			return true
		}
	}
	return false
}

func defaultConfigFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	for _, name := range []string{"regent/regent.yaml", "patroni/patronictl.yaml"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// newAPI builds the HTTP client of the section ctl.
func newAPI(c *config.Config, insecure bool) (*HTTPAPI, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure || c.Ctl.Insecure} // the operator's word
	if c.Ctl.CACert != "" {
		pem, err := os.ReadFile(c.Ctl.CACert)
		if err != nil {
			return nil, fmt.Errorf("read ctl.cacert: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ctl.cacert: no certificate in %s", c.Ctl.CACert)
		}
	}
	if c.Ctl.CertFile != "" {
		if c.Ctl.KeyFilePassword != "" {
			return nil, errors.New("ctl.keyfile_password: encrypted keys are not supported; decrypt the key file")
		}
		key := c.Ctl.KeyFile
		if key == "" {
			key = c.Ctl.CertFile // one file with both, as Patroni allows
		}
		pair, err := tls.LoadX509KeyPair(c.Ctl.CertFile, key)
		if err != nil {
			return nil, fmt.Errorf("read ctl.certfile: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return &HTTPAPI{
		Client: &http.Client{
			Transport:     &http.Transport{TLSClientConfig: secure, Proxy: nil, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Username: c.Ctl.Authentication.Username, Password: c.Ctl.Authentication.Password.Reveal(),
	}, nil
}
