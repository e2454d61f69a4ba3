package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
)

// names is a resolver of its own entries only.
type names map[string]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}, nil
	}
	return nil, errors.New("no such host")
}

func TestAllowlist(t *testing.T) {
	st := with(primaryStatus(), func(s *engine.Status) {
		s.View.Members = append([]events.MemberRecord{}, s.View.Members...)
		s.View.Members[2].APIURL = "http://n3.example:8008/patroni"
	})
	for _, c := range []struct {
		list    []string
		members bool
		from    string
		want    int
	}{
		{nil, false, "192.0.2.1:1", 202},
		{[]string{"192.0.2.1"}, false, "192.0.2.1:1", 202},
		{[]string{"192.0.2.1"}, false, "192.0.2.2:1", 403},
		{[]string{"192.0.2.0/24"}, false, "192.0.2.2:1", 202},
		{[]string{"192.0.2.0/24"}, false, "[::ffff:192.0.2.2]:1", 202},
		{[]string{"2001:db8::/32"}, false, "[2001:db8::7]:1", 202},
		{[]string{"2001:db8::/32"}, false, "192.0.2.2:1", 403},
		{[]string{"admin.example"}, false, "192.0.2.9:1", 202},
		{[]string{"gone.example", "admin.example"}, false, "192.0.2.9:1", 202},
		{[]string{"gone.example"}, false, "192.0.2.9:1", 403},
		{nil, true, "10.0.0.2:1", 202},
		{nil, true, "10.0.0.7:1", 403},
		{nil, true, "192.0.2.33:1", 202}, // n3 by name
		{[]string{"192.0.2.1"}, true, "10.0.0.2:1", 202},
		{[]string{"192.0.2.1"}, false, "10.0.0.2:1", 403},
		{[]string{"192.0.2.1"}, false, "nonsense", 403},
	} {
		d := newDoors(t, st)
		d.onReload = func() error { return nil }
		s := newServer(t, Config{Allowlist: c.list, AllowlistIncludeMembers: c.members}, d)
		s.guard.resolver = names{"admin.example": "192.0.2.9", "n3.example": "192.0.2.33"}
		from := func(r *http.Request) { r.RemoteAddr = c.from }
		w := send(s, "POST", "/reload", "", from)
		if w.Code != c.want || c.want == 403 && w.Body.String() != "Access is denied" {
			t.Errorf("%v, members %v, from %s: %d %s", c.list, c.members, c.from, w.Code, w.Body)
		}
		if w := send(s, "GET", "/primary", "", from); w.Code != 200 {
			t.Errorf("GET from %s: %d", c.from, w.Code)
		}
	}
	// Members are not asked for at POST /failsafe.
	s := newServer(t, Config{AllowlistIncludeMembers: true}, newDoors(t, st))
	if w := send(s, "POST", "/failsafe", `{"name":"n1"}`, func(r *http.Request) { r.RemoteAddr = "192.0.2.77:1" }); w.Code != 502 {
		t.Errorf("POST /failsafe: %d", w.Code)
	}
	for _, entry := range []string{"", "10.0.0.0/99", "a b"} {
		if _, err := New(Config{Listen: "127.0.0.1:0", Allowlist: []string{entry}}, newDoors(t, st)); err == nil {
			t.Errorf("allowlist entry %q is accepted", entry)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	d := newDoors(t, primaryStatus())
	d.onReload = func() error { return nil }
	s := newServer(t, Config{Username: "admin", Password: "pass:word"}, d)
	auth := func(header string) func(*http.Request) {
		return func(r *http.Request) {
			if header != "" {
				r.Header.Set("Authorization", header)
			}
		}
	}
	for _, c := range []struct {
		header string
		code   int
		body   string
	}{
		{"", 401, "no auth header received"},
		{"Basic " + basicText("admin", "wrong"), 401, "not authenticated"},
		{"Basic ", 401, "not authenticated"},
		{"Bearer x", 401, "not authenticated"},
		{basicText("admin", "pass:word"), 401, "not authenticated"},
		{"Basic " + basicText("admin", "pass:word"), 202, "reload scheduled"},
	} {
		w := send(s, "POST", "/reload", "", auth(c.header))
		if w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%q: %d %s", c.header, w.Code, w.Body)
		}
		if got := w.Header().Get("WWW-Authenticate"); (c.code == 401) != (got == `Basic realm="Patroni"`) {
			t.Errorf("%q: WWW-Authenticate %q", c.header, got)
		}
	}
	for _, unsafe := range [][2]string{
		{"PATCH", "/config"}, {"PUT", "/config"}, {"POST", "/restart"}, {"DELETE", "/restart"}, {"POST", "/switchover"},
		{"DELETE", "/switchover"}, {"POST", "/failover"}, {"POST", "/reinitialize"}, {"POST", "/sigterm"},
		{"POST", "/citus"}, {"POST", "/mpp"}, {"POST", "/failsafe"},
	} {
		if code, _ := call(t, s, unsafe[0], unsafe[1], `{"x":1}`); code != 401 {
			t.Errorf("%v without credentials: %d", unsafe, code)
		}
	}
	for _, path := range []string{"/primary", "/patroni", "/cluster", "/config", "/metrics", "/history", "/regent/status"} {
		if code, _ := call(t, s, "GET", path, ""); code != 200 {
			t.Errorf("GET %s without credentials: %d", path, code)
		}
	}
}
