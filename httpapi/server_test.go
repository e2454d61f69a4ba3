package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// shortLimits let a test see limits at work.
var shortLimits = limits{header: 300 * time.Millisecond, body: 300 * time.Millisecond, write: 300 * time.Millisecond}

func TestListenErrorsNameTheAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for address, want := range map[string]string{
		l.Addr().String(): "address already in use", "nonsense": "want host:port", "127.0.0.1:x": "unknown port",
	} {
		_, err := New(Config{Listen: address}, newDoors(t, nil))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
	s, err := New(Config{Listen: "*:0"}, newDoors(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// exchange sends text over a connection of its own and reads one answer.
func exchange(t *testing.T, c net.Conn, r *bufio.Reader, method, head string) (a wireAnswer) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return wireAnswer{resp.StatusCode, resp.Header, resp.ContentLength, resp.Close, string(b)}
}

type wireAnswer struct {
	code   int
	header http.Header
	length int64
	closed bool
	body   string
}

// TestOnTheWire shows lengths, kept connections, HEAD and OPTIONS, old clients and chunked bodies.
func TestOnTheWire(t *testing.T) {
	d := newDoors(t, primaryStatus())
	d.onAsk = func(_ context.Context, r events.OperatorRequest) (events.AnswerOperator, error) {
		return events.AnswerOperator{Code: 200, Body: "role " + r.Role}, nil
	}
	s, _ := runServer(t, Config{ExtraHeaders: map[string]string{"X-Extra": "yes"}}, d)
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for _, x := range []struct {
		method, head, body string
		code               int
		empty              bool
	}{
		{"GET", "GET /primary HTTP/1.1\r\nHost: x\r\n\r\n", "", 200, false},
		{"HEAD", "HEAD /primary HTTP/1.1\r\nHost: x\r\n\r\n", "", 200, true},
		{"HEAD", "HEAD /patroni HTTP/1.1\r\nHost: x\r\n\r\n", "", 200, true},
		{"OPTIONS", "OPTIONS /primary HTTP/1.1\r\nHost: x\r\n\r\n", "", 200, true},
		{"OPTIONS", "OPTIONS /replica HTTP/1.1\r\nHost: x\r\n\r\n", "", 503, true},
		{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "", 503, true},
		{"GET", "GET /liveness HTTP/1.1\r\nHost: x\r\n\r\n", "", 200, true},
		{"HEAD", "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "", 200, true},
		{"POST", "POST /restart HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"12\r\n{\"role\":\"replica\"}\r\n0\r\n\r\n", "role replica", 200, false},
		{"POST", "POST /restart HTTP/1.1\r\nHost: x\r\n\r\n", "role ", 200, false},
		{"PATCH", "PATCH /config HTTP/1.1\r\nHost: x\r\n\r\n", "", 411, false},
		{"PATCH", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "", 400, false},
	} {
		a := exchange(t, c, r, x.method, x.head)
		if a.code != x.code || (a.body == "") != x.empty || x.body != "" && a.body != x.body {
			t.Errorf("%q: %d %q", x.head, a.code, a.body)
		}
		if a.header.Get("X-Extra") != "yes" || a.header.Get("Server") != "regent/0.1.0" || a.header.Get("Date") == "" {
			t.Errorf("%q: headers %v", x.head, a.header)
		}
		if a.closed {
			t.Fatalf("%q: the connection was not kept", x.head)
		}
	}
	old := exchange(t, c, r, "GET", "GET / HTTP/1.0\r\n\r\n")
	if old.code != 200 || !old.closed || old.length <= 0 {
		t.Errorf("HTTP/1.0: %+v", old)
	}
}

func TestServerTokens(t *testing.T) {
	for token, want := range map[string]string{"": "regent/0.1.0", "Minimal": "Patroni/4.1.4", "productonly": "Patroni"} {
		s := newServer(t, Config{ServerTokens: token}, newDoors(t, primaryStatus()))
		if got := send(s, "GET", "/", "", nil).Header().Get("Server"); got != want {
			t.Errorf("%s: %s", token, got)
		}
	}
}

// TestSlowClientsDelayThemselvesOnly keeps many connections half-open while others are served.
func TestSlowClientsDelayThemselvesOnly(t *testing.T) {
	s, url := runServer(t, Config{limits: shortLimits}, newDoors(t, primaryStatus()))
	var slow []net.Conn
	for i := range 200 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		head := "GET /primary HT"
		if i%2 == 1 {
			head = "POST /restart HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
		}
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	client, err := NewClient(ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	start := time.Now()
	if _, err := client.Patroni(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	// The half-open ones are ended by the server: without a header, and without a body.
	for _, c := range slow[:2] {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("the server keeps a half-open connection: %v", err)
		}
	}
}

func TestBodyLimits(t *testing.T) {
	s, url := runServer(t, Config{}, newDoors(t, primaryStatus()))
	resp, err := http.Post(url+"/restart", typeJSON, bytes.NewReader(make([]byte, maxBodyBytes+1)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("large body: %d", resp.StatusCode)
	}
	many := make([]string, 50000)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	start := time.Now()
	if code, _ := call(t, s, "POST", "/restart", "{"+strings.Join(many, ",")+"}"); code != 400 {
		t.Errorf("many keys: %d", code)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("many keys took %v", took)
	}
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	if code, _ := call(t, s, "PATCH", "/config", deep); code != 400 {
		t.Errorf("deep body: %d", code)
	}
}

// TestLongOrderOutlivesTheBodyDeadline shows that a request which waits for its result is not ended by the
// deadlines of headers, bodies and answers, and is ended by Run.
func TestLongOrderOutlivesTheBodyDeadline(t *testing.T) {
	d := newDoors(t, primaryStatus())
	asked, release := make(chan struct{}), make(chan struct{})
	d.onAsk = func(ctx context.Context, _ events.OperatorRequest) (events.AnswerOperator, error) {
		close(asked)
		select {
		case <-release:
			return events.AnswerOperator{Code: 200, Body: "restarted successfully"}, nil
		case <-ctx.Done():
			return events.AnswerOperator{}, ctx.Err()
		}
	}
	_, url := runServer(t, Config{limits: shortLimits}, d)
	client, err := NewClient(ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	timer := time.AfterFunc(4*shortLimits.write, func() { close(release) })
	defer timer.Stop()
	reply, err := client.Restart(t.Context(), url, RestartBody{Role: "primary"})
	if err != nil || reply.Code != 200 || reply.Body != "restarted successfully" {
		t.Errorf("%+v %v", reply, err)
	}
	<-asked
}

func TestRunEndsItsHandlers(t *testing.T) {
	d := newDoors(t, primaryStatus())
	entered, left := make(chan struct{}), make(chan struct{})
	d.onAsk = func(ctx context.Context, _ events.OperatorRequest) (events.AnswerOperator, error) {
		close(entered)
		<-ctx.Done()
		close(left)
		return events.AnswerOperator{}, ctx.Err()
	}
	s := newServer(t, Config{}, d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	answered := make(chan string, 1)
	go func() {
		client, err := NewClient(ClientConfig{})
		if err != nil {
			answered <- err.Error()
			return
		}
		defer client.Close()
		reply, err := client.Restart(context.Background(), "http://"+s.Addr().String(), RestartBody{})
		answered <- fmt.Sprint(reply.Code, reply.Body, err)
	}()
	<-entered
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
	select {
	case <-left:
	default:
		t.Error("Run returned before its handler")
	}
	if got := <-answered; got != "503restart failed<nil>" && got != "503 restart failed <nil>" {
		t.Errorf("the waiting client got %q", got)
	}
	if _, err := net.DialTimeout("tcp", s.Addr().String(), time.Second); err == nil {
		t.Error("the listener is still open")
	}
}

// authority issues certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = a.write("ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) write(name string, blocks ...*pem.Block) string {
	var b bytes.Buffer
	for _, block := range blocks {
		b.Write(pem.EncodeToMemory(block))
	}
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// issue writes certificate and key into one file.
func (a *authority) issue(name string, serial int64) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	k, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name, &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "EC PRIVATE KEY", Bytes: k})
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	serverFile, clientFile := ca.issue("server.pem", 10), ca.issue("client.pem", 20)
	stranger := newAuthority(t).issue("stranger.pem", 30)
	d := newDoors(t, primaryStatus())
	d.onReload = func() error { return nil }
	for _, c := range []struct {
		verify    VerifyClient
		cert      string
		get, post int // 0: the connection is refused
	}{
		{"", "", 200, 202}, {VerifyNone, clientFile, 200, 202},
		{VerifyOptional, "", 200, 403}, {VerifyOptional, clientFile, 200, 202}, {VerifyOptional, stranger, 0, 0},
		{VerifyRequired, "", 0, 0}, {VerifyRequired, clientFile, 200, 202}, {VerifyRequired, stranger, 0, 0},
	} {
		t.Run(fmt.Sprint(c.verify, filepath.Base(c.cert)), func(t *testing.T) {
			_, url := runServer(t, Config{CertFile: serverFile, CAFile: ca.file, VerifyClient: c.verify}, d)
			client, err := NewClient(ClientConfig{CAFile: ca.file, CertFile: c.cert})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			st := client.PeerStatus(t.Context(), events.Peer{Name: "n1", APIURL: url + "/patroni"})
			if st.Reachable != (c.get == 200) {
				t.Errorf("GET: %+v", st)
			}
			if reply, err := client.Reload(t.Context(), url); reply.Code != c.post {
				t.Errorf("POST: %+v %v", reply, err)
			}
		})
	}
	s, url := runServer(t, Config{CertFile: serverFile}, d)
	insecure, err := NewClient(ClientConfig{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer insecure.Close()
	if err := insecure.Warm(t.Context(), url); err != nil {
		t.Error(err)
	}
	ca.issue("server.pem", 11)
	if err := s.ReloadCertificate(); err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only the serial is asked for
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 11 {
		t.Errorf("serial %d after the reload", got)
	}
	_ = conn.Close()
	if err := os.Remove(serverFile); err != nil {
		t.Fatal(err)
	}
	if err := s.ReloadCertificate(); err == nil {
		t.Error("a certificate that is gone was read again")
	}
	insecure.Close()
	if err := insecure.Warm(t.Context(), url); err != nil {
		t.Errorf("after a reload that went wrong: %v", err)
	}
}

func TestTLSConfigurationErrors(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue("server.pem", 10)
	for want, cfg := range map[string]Config{
		"restapi.keyfile":       {KeyFile: cert},
		"no such file":          {CertFile: "/nonexistent/x.pem"},
		"restapi.verify_client": {CertFile: cert, VerifyClient: "perhaps"},
		"authorities":           {CertFile: cert, VerifyClient: VerifyRequired, CAFile: "/nonexistent/ca.pem"},
	} {
		cfg.Listen = "127.0.0.1:0"
		if _, err := New(cfg, newDoors(t, nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestManyReadersOfAChangingPicture is for the race detector.
func TestManyReadersOfAChangingPicture(t *testing.T) {
	d := newDoors(t, primaryStatus())
	s := newServer(t, Config{}, d)
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 100 {
				path := healthPaths[i%len(healthPaths)]
				send(s, "GET", path, "", nil)
				send(s, "GET", "/metrics", "", nil)
			}
		}()
	}
	for i := range 100 {
		d.publish(func(s *engine.Status) { s.View.Revision = uint64(i) })
	}
	for range 4 {
		<-done
	}
}
