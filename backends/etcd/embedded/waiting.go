package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A member that waits answers every request at its peer URL with waitingStatus and the cluster's token.
const (
	waitingStatus = http.StatusServiceUnavailable
	waitingHeader = "X-Regent-Waiting"
)

// waiting serves the peer URLs while there is no etcd yet.
type waiting struct {
	servers []*http.Server
	serving sync.WaitGroup
}

func (c *Config) announce() (*waiting, error) {
	w := &waiting{}
	for _, text := range c.ListenPeerURLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("URL %q: %w", text, err), w.close())
		}
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for other members: %w", err), w.close())
		}
		if u.Scheme == "https" {
			t, err := c.PeerTLS.info().ServerConfig()
			if err != nil {
				return nil, errors.Join(fmt.Errorf("read certificates: %w", err), l.Close(), w.close())
			}
			l = tls.NewListener(l, t)
		}
		s := &http.Server{
			Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set(waitingHeader, c.Token)
				rw.WriteHeader(waitingStatus)
			}),
			ReadHeaderTimeout: bootstrapTimeout, IdleTimeout: bootstrapTimeout, ErrorLog: zap.NewStdLog(zap.NewNop()),
		}
		w.servers = append(w.servers, s)
		w.serving.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				c.Log.Warn("stopped answering other members", zap.Error(err))
			}
		})
	}
	return w, nil
}

func (w *waiting) close() error {
	var errs []error
	for _, s := range w.servers {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
		cancel()
	}
	w.serving.Wait()
	return errors.Join(errs...)
}
