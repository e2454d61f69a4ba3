package httpapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// keyPair is the server's certificate, which can be read again while the server runs.
type keyPair struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

func (k *keyPair) load() error {
	keyFile := k.keyFile
	if keyFile == "" {
		keyFile = k.certFile
	}
	c, err := tls.LoadX509KeyPair(k.certFile, keyFile)
	if err != nil {
		return fmt.Errorf("read certificate and key: %w", err)
	}
	k.current.Store(&c)
	return nil
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.current.Load(), nil }

// serverTLS is nil where no certificate is configured.
func serverTLS(cfg *Config) (*tls.Config, *keyPair, error) {
	if cfg.CertFile == "" {
		if cfg.KeyFile != "" {
			return nil, nil, errors.New("restapi.keyfile is set without restapi.certfile: set both, or neither")
		}
		return nil, nil, nil
	}
	pair := &keyPair{certFile: cfg.CertFile, keyFile: cfg.KeyFile}
	if err := pair.load(); err != nil {
		return nil, nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"http/1.1"}}
	switch cfg.VerifyClient {
	case VerifyNone, "":
		return t, pair, nil
	case VerifyOptional:
		t.ClientAuth = tls.VerifyClientCertIfGiven
	case VerifyRequired:
		t.ClientAuth = tls.RequireAndVerifyClientCert
	default:
		return nil, nil, fmt.Errorf("restapi.verify_client = %q: want none, optional or required", cfg.VerifyClient)
	}
	pool, err := certPool(cfg.CAFile)
	t.ClientCAs = pool
	return t, pair, err
}

// certPool reads authorities; nil stands for the system's own.
func certPool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificate authorities: no certificate in %s", file)
	}
	return pool, nil
}
