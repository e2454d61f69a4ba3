package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// The limits of a connection. Each is served by its own goroutine, so a slow client delays itself only.
const (
	idleTimeout    = 2 * time.Minute
	shutdownGrace  = 3 * time.Second
	maxHeaderBytes = 64 << 10
	maxBodyBytes   = 1 << 20
)

// limits are how long a client may take for each part of an exchange.
type limits struct{ header, body, write time.Duration }

var defaultLimits = limits{header: 2 * time.Second, body: 5 * time.Second, write: 10 * time.Second}

// Server serves the doors of one member. The listener is open from New on; Run serves it.
type Server struct {
	cfg      Config
	doors    Doors
	gallery  gallery
	guard    *guard
	pair     *keyPair
	peers    Peers
	log      *zap.Logger
	metrics  http.Handler
	routes   map[string]map[string]door // by method and first segment of the path
	listener net.Listener
	http     *http.Server

	mu       sync.Mutex // guards closed, and orders handlers.Add before handlers.Wait
	closed   bool
	handlers sync.WaitGroup

	idPrefix  string
	requestID atomic.Uint64
}

// door answers one kind of request. The picture is not nil.
type door func(r *http.Request, p *picture) answer

// New opens the listener, so that an address in use is refused at start and by name.
func New(cfg Config, doors Doors) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.limits == (limits{}) {
		cfg.limits = defaultLimits
	}
	s := &Server{cfg: cfg, doors: doors, gallery: gallery{doors: doors}, log: cfg.Log, peers: cfg.Peers}
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("choose request IDs: %w", err)
	}
	s.idPrefix = hex.EncodeToString(id[:])
	if s.peers == nil {
		c, err := NewClient(ClientConfig{})
		if err != nil {
			return nil, err
		}
		s.peers = c
	}
	var err error
	if s.guard, err = newGuard(&s.cfg); err != nil {
		return nil, err
	}
	tlsConfig, pair, err := serverTLS(&s.cfg)
	if err != nil {
		return nil, err
	}
	s.pair = pair
	registry, err := newRegistry(&s.gallery)
	if err != nil {
		return nil, err
	}
	s.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
	s.routes = s.table()
	if s.listener, err = listen(cfg.Listen, tlsConfig); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: cfg.limits.header, WriteTimeout: cfg.limits.write, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, DisableGeneralOptionsHandler: true,
		ErrorLog: zap.NewStdLog(s.log.Named("http")),
	}
	return s, nil
}

func listen(address string, t *tls.Config) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("restapi.listen = %q: want host:port: %w", address, err)
	}
	if host == "*" {
		host = ""
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("open the REST API at restapi.listen = %q: %w", address, err)
	}
	if t != nil {
		l = tls.NewListener(l, t)
	}
	return l, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// ReloadCertificate reads the certificate again, for connections to come. On an error the old one stays.
func (s *Server) ReloadCertificate() error {
	if s.pair == nil {
		return nil
	}
	return s.pair.load()
}

// Close gives up a server that is not run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends, and returns after the last handler has. Orders that wait for their result are
// then given up at once.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve the REST API: %w", err)
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		err = s.http.Shutdown(grace)
		cancel()
		if serving := <-served; err == nil && !errors.Is(serving, http.ErrServerClosed) {
			err = fmt.Errorf("serve the REST API: %w", serving)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil // a client that does not read or write is cut off below
		}
	}
	if closed := s.http.Close(); err == nil && closed != nil {
		err = fmt.Errorf("close the REST API: %w", closed)
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.handlers.Wait()
	return err
}

// enter counts a handler that begins, and refuses it once Run is ending.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handlers.Add(1)
	}
	return !s.closed
}

// ServeHTTP routes by method and first segment of the path; other GETs are health checks.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		return
	}
	defer s.handlers.Done()
	control := http.NewResponseController(w)
	if r.Body != http.NoBody { // net/http lifts the deadline when the body has been read
		if err := control.SetReadDeadline(time.Now().Add(s.cfg.limits.body)); err != nil {
			s.log.Debug("body deadline", zap.Error(err))
		}
	}
	start := s.doors.Now()
	p := s.gallery.look()
	s.setHeaders(w, p)
	method, segment := r.Method, firstSegment(r.URL)
	if method == http.MethodHead || method == http.MethodOptions {
		method = http.MethodGet
	}
	if method == http.MethodGet && segment == "metrics" && p != nil {
		s.metrics.ServeHTTP(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	a := s.respond(method, segment, r, p)
	if err := control.SetWriteDeadline(time.Now().Add(s.cfg.limits.write)); err != nil {
		s.log.Debug("write deadline", zap.Error(err))
	}
	a.send(w, r)
	if ce := s.log.Check(zap.DebugLevel, "request"); ce != nil {
		ce.Write(zap.String("client", r.RemoteAddr), zap.String("method", r.Method), zap.String("path", r.URL.Path),
			zap.Int("code", a.code), zap.Duration("took", s.doors.Now().Sub(start)))
	}
}

func (s *Server) respond(method, segment string, r *http.Request, p *picture) answer {
	if method == http.MethodGet {
		switch found := s.routes[method][segment]; {
		case p == nil:
			return echo(http.StatusServiceUnavailable, "starting: nothing is known yet")
		case found != nil:
			return found(r, p)
		}
		return s.health(r, p)
	}
	found := s.routes[method][segment]
	if found == nil {
		return failure(http.StatusNotImplemented, "Unsupported method ('"+r.Method+"')")
	}
	if refusal := s.guard.check(r, p, segment != "failsafe"); refusal != nil {
		return *refusal
	}
	if p == nil {
		return echo(http.StatusServiceUnavailable, "starting: nothing is known yet")
	}
	return found(r, p)
}

func (s *Server) setHeaders(w http.ResponseWriter, p *picture) {
	h := w.Header()
	switch strings.ToLower(s.cfg.ServerTokens) {
	case "productonly":
		h.Set("Server", "Patroni")
	case "minimal":
		h.Set("Server", "Patroni/"+CompatVersion)
	default:
		product := "regent"
		if p != nil && p.Version != "" {
			product += "/" + p.Version
		}
		h.Set("Server", product)
	}
	for k, v := range s.cfg.ExtraHeaders {
		h.Set(k, v)
	}
}

// nextID names an order; it comes back with the engine's answer.
func (s *Server) nextID() string { return fmt.Sprintf("%s-%d", s.idPrefix, s.requestID.Add(1)) }
