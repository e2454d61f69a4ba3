package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// resolveTimeout bounds how long the names of the allowlist may take.
const resolveTimeout = 2 * time.Second

// resolver looks up the addresses of a host.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// guard decides who may use the unsafe methods: by address, then certificate, then password.
type guard struct {
	networks    []netip.Prefix
	hosts       []string
	withMembers bool
	needCert    bool
	credentials *[sha256.Size]byte // hash of the header's text after "Basic "
	resolver    resolver
}

func newGuard(cfg *Config) (*guard, error) {
	g := &guard{
		withMembers: cfg.AllowlistIncludeMembers,
		needCert:    cfg.CertFile != "" && (cfg.VerifyClient == VerifyOptional || cfg.VerifyClient == VerifyRequired),
		resolver:    net.DefaultResolver,
	}
	for _, entry := range cfg.Allowlist {
		if prefix, ok := parseNetwork(entry); ok {
			g.networks = append(g.networks, prefix)
			continue
		}
		if entry == "" || strings.ContainsAny(entry, "/ ") {
			return nil, fmt.Errorf("restapi.allowlist has %q: want a host, an address or a network such as 10.0.0.0/8", entry)
		}
		g.hosts = append(g.hosts, entry)
	}
	if cfg.Username != "" || cfg.Password != "" {
		sum := sha256.Sum256([]byte(basicText(cfg.Username, cfg.Password)))
		g.credentials = &sum
	}
	return g, nil
}

func basicText(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func parseNetwork(entry string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(entry); err == nil {
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(entry); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// check returns nil when the request may go on. membersCount tells whether the addresses of members are
// asked for at this door.
func (g *guard) check(r *http.Request, p *picture, membersCount bool) *answer {
	if !g.addressAllowed(r, p, membersCount) {
		return refuse(http.StatusForbidden, "Access is denied")
	}
	if g.needCert && !hasCertificate(r.TLS) {
		return refuse(http.StatusForbidden, "client certificate required")
	}
	if g.credentials == nil {
		return nil
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return unauthorized("no auth header received")
	}
	given, ok := strings.CutPrefix(header, "Basic ")
	sum := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(sum[:], g.credentials[:]) != 1 || !ok {
		return unauthorized("not authenticated")
	}
	return nil
}

func refuse(code int, body string) *answer {
	a := text(code, body)
	return &a
}

func unauthorized(body string) *answer {
	a := refuse(http.StatusUnauthorized, body)
	a.header = map[string]string{"WWW-Authenticate": `Basic realm="Patroni"`}
	return a
}

func hasCertificate(s *tls.ConnectionState) bool { return s != nil && len(s.PeerCertificates) > 0 }

func (g *guard) addressAllowed(r *http.Request, p *picture, membersCount bool) bool {
	members := g.withMembers && membersCount
	if len(g.networks) == 0 && len(g.hosts) == 0 && !members {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	client := from.Addr().Unmap().WithZone("")
	for _, n := range g.networks {
		if n.Contains(client) {
			return true
		}
	}
	hosts := g.hosts
	if members && p != nil {
		hosts = append([]string(nil), hosts...)
		for i := range p.View.Members {
			if u, err := url.Parse(p.View.Members[i].APIURL); err == nil && u.Hostname() != "" {
				hosts = append(hosts, u.Hostname())
			}
		}
	}
	return g.anyIs(r.Context(), hosts, client)
}

// anyIs resolves the names at once, so that one dead name server does not cost its timeout for each of them.
func (g *guard) anyIs(ctx context.Context, hosts []string, client netip.Addr) bool {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found := make(chan bool, len(hosts))
	for _, host := range hosts {
		go func() { found <- g.isAddressOf(ctx, host, client) }()
	}
	matched := false
	for range hosts {
		if <-found {
			matched = true
			cancel()
		}
	}
	return matched
}

func (g *guard) isAddressOf(ctx context.Context, host string, client netip.Addr) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().WithZone("") == client
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false // a name that does not resolve allows nobody
	}
	for _, a := range addrs {
		if a.Unmap().WithZone("") == client {
			return true
		}
	}
	return false
}
