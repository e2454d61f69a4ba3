package config

import (
	"net"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// supportedStores are the sections of which the agent needs exactly one.
var supportedStores = []string{"etcd3", "embedded", "nats"}

// patroniStores are sections of Patroni's for stores that this version has no adapter for.
var patroniStores = []string{"consul", "etcd", "exhibitor", "kubernetes", "raft", "zookeeper"}

func (c *Config) readStores(top *section) {
	var found []string
	for _, name := range patroniStores {
		v := top.value(name)
		if v == nil {
			continue
		}
		found = append(found, name)
		remedy := "this version of regent has no adapter for this store: use one of the sections " + strings.Join(supportedStores, ", ")
		if name == "etcd" {
			remedy = "etcd's version 2 API is not supported: rename the section to etcd3"
		}
		top.bad(name, v, "%s", remedy)
	}
	if top.has("etcd3") {
		found = append(found, "etcd3")
		c.readEtcd3(top.section("etcd3"))
	}
	if top.has("embedded") {
		found = append(found, "embedded")
		c.readEmbedded(top.section("embedded"))
	}
	if top.has("nats") {
		found = append(found, "nats")
		c.readNats(top.section("nats"))
	}
	for _, name := range supportedStores {
		top.value(name)
	}
	if len(found) > 1 {
		top.bad(found[1], top.tree.get(found[1]), "there are %d stores (%s): keep exactly one", len(found), strings.Join(found, ", "))
	}
}

func (s *section) hasAny(keys []string) bool {
	for _, key := range keys {
		if s.has(key) {
			return true
		}
	}
	return false
}

func (c *Config) readEtcd3(s *section) {
	e := &Etcd3{Protocol: "http"}
	s.enum("protocol", &e.Protocol, "http", "https")
	for key, into := range map[string]*string{"cacert": &e.CACert, "cert": &e.Cert, "key": &e.Key, "username": &e.Username} {
		s.string(key, into)
	}
	s.secret("password", &e.Password)
	host, hosts, address := "", []string(nil), ""
	s.string("host", &host)
	s.strings("hosts", &hosts, true)
	s.string("proxy", &address)
	if address == "" {
		s.string("url", &address)
	} else {
		s.value("url")
	}
	switch {
	case address != "":
		s.endpointURL(address, e)
	case len(hosts) > 0:
		for _, h := range hosts {
			s.endpoint("hosts", h, e)
		}
	case host != "":
		s.endpoint("host", host, e)
	}
	s.noEffect("endpoints are used as they are given", "use_proxies")
	s.unsupported("srv", "srv_suffix", "discovery_srv", "srv_domain", "version_prefix")
	s.done()
	if s.present() && len(e.Endpoints) == 0 && address == "" && len(hosts) == 0 && host == "" {
		s.missing("hosts", "name the servers: hosts (a list of host:port), host, or url")
	}
	if (e.Cert == "") != (e.Key == "") {
		s.bad("cert", s.tree.get("cert"), "want both cert and key, or neither")
	}
	c.Etcd3 = e
}

func (s *section) endpoint(key, address string, e *Etcd3) {
	if u, err := url.Parse(address); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		e.Endpoints = append(e.Endpoints, u.Scheme+"://"+u.Host)
		return
	}
	clean, err := checkAddress(address, false, 2379)
	if err != nil {
		s.bad(key, s.tree.get(key), "%q: want host:port, for example 10.0.0.1:2379", address)
		return
	}
	e.Endpoints = append(e.Endpoints, e.Protocol+"://"+clean)
}

// endpointURL takes protocol, address and credentials from a URL, as Patroni does.
func (s *section) endpointURL(address string, e *Etcd3) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		s.errs = append(s.errs, &FieldError{Field: s.field("url"), Value: strconv.Quote(maskURL(address)),
			Remedy: "want http://host:port or https://host:port"})
		return
	}
	port := u.Port()
	if port == "" {
		port = "2379"
	}
	e.Protocol = u.Scheme
	e.Endpoints = []string{u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)}
	password, _ := u.User.Password()
	e.Username, e.Password = u.User.Username(), Secret(password)
}

func (c *Config) readEmbedded(s *section) {
	e := &Embedded{ListenClient: "127.0.0.1:2379", State: "new", Token: c.Scope, HeartbeatMS: 100, ElectionMS: 1000}
	s.string("data_dir", &e.DataDir)
	s.address("listen_client", &e.ListenClient, false, 2379)
	s.address("listen_peer", &e.ListenPeer, false, 2380)
	s.address("advertise_client", &e.AdvertiseClient, false, 2379)
	s.address("advertise_peer", &e.AdvertisePeer, false, 2380)
	s.string("initial_cluster_token", &e.Token)
	s.enum("initial_cluster_state", &e.State, "new", "existing")
	s.integer("heartbeat_ms", &e.HeartbeatMS, 10, 10_000)
	s.integer("election_ms", &e.ElectionMS, 50, 50_000)
	if e.ElectionMS < 5*e.HeartbeatMS {
		s.bad("election_ms", s.tree.get("election_ms"), "want at least five times heartbeat_ms (%d), or a lost packet is an election",
			e.HeartbeatMS)
	}
	s.tls("tls", &e.TLS)
	e.PeerTLS = e.TLS
	s.tls("peer_tls", &e.PeerTLS)
	c.readEmbeddedMembers(s, e)
	s.done()
	if len(e.Members) == 0 {
		s.missing("members", "name all members of the store with their peer addresses: {n1: 10.0.0.1:2380, …}")
	}
	e.fillAddresses(c.Name)
	if c.Name != "" && len(e.Members) > 0 && e.Own(c.Name) == nil {
		s.bad("members", s.tree.get("members"), "this member (%s) is not among them: add it with its peer address", c.Name)
	}
	c.Embedded = e
}

func (s *section) tls(key string, into *TLS) {
	t := s.section(key)
	t.string("cacert", &into.CACert)
	t.string("cert", &into.Cert)
	t.string("key", &into.Key)
	t.done()
	if (into.Cert == "") != (into.Key == "") {
		s.bad(key, s.tree.get(key), "want both cert and key, or neither")
	}
}

func (c *Config) readEmbeddedMembers(s *section, e *Embedded) {
	initial := ""
	s.string("initial_cluster", &initial)
	if m := s.section("members"); m.present() {
		for _, name := range m.tree.keys {
			member := EmbeddedMember{Name: name}
			if v := m.tree.get(name); v.kind == kindMap {
				one := m.section(name)
				one.address("peer", &member.Peer, false, 2380)
				one.address("client", &member.Client, false, 2379)
				if one.done(); member.Peer == "" {
					one.missing("peer", "want host:port")
				}
			} else {
				m.address(name, &member.Peer, false, 2380)
			}
			e.Members = append(e.Members, member)
		}
	} else {
		for _, part := range splitComma(initial) {
			name, address, ok := strings.Cut(part, "=")
			if u, err := url.Parse(address); err == nil && u.Host != "" {
				address = u.Host
			}
			clean, err := checkAddress(address, false, 2380)
			if !ok || err != nil {
				s.bad("initial_cluster", s.tree.get("initial_cluster"), "%q: want name=http://host:port", part)
				continue
			}
			e.Members = append(e.Members, EmbeddedMember{Name: name, Peer: clean})
		}
	}
	sort.Slice(e.Members, func(i, j int) bool { return e.Members[i].Name < e.Members[j].Name })
}

// Own finds the member of that name, nil if it is not a voter.
func (e *Embedded) Own(name string) *EmbeddedMember {
	for i := range e.Members {
		if e.Members[i].Name == name {
			return &e.Members[i]
		}
	}
	return nil
}

func (e *Embedded) fillAddresses(name string) {
	own := e.Own(name)
	if e.AdvertisePeer == "" && own != nil {
		e.AdvertisePeer = own.Peer
	}
	if e.ListenPeer == "" {
		e.ListenPeer = e.AdvertisePeer
	}
	if e.AdvertiseClient == "" && own != nil {
		e.AdvertiseClient = own.Client
	}
	if e.AdvertiseClient == "" {
		e.AdvertiseClient = e.ListenClient
	}
	_, port, err := SplitHostPort(e.AdvertiseClient)
	if err != nil {
		return // refused before
	}
	for i := range e.Members {
		m := &e.Members[i]
		if m.Name == name {
			m.Client = e.AdvertiseClient
		}
		if host, _, err := SplitHostPort(m.Peer); err == nil && m.Client == "" {
			m.Client = net.JoinHostPort(host, strconv.Itoa(port))
		}
	}
}

// ClientURLs are the addresses at which all members' stores serve clients.
func (e *Embedded) ClientURLs() []string {
	scheme := "http://"
	if e.TLS != (TLS{}) {
		scheme = "https://"
	}
	urls := make([]string, 0, len(e.Members))
	for _, m := range e.Members {
		urls = append(urls, scheme+m.Client)
	}
	return urls
}

// PeerURLs are the addresses at which the members' stores talk to each other, by name.
func (e *Embedded) PeerURLs() map[string]string {
	scheme := "http://"
	if e.PeerTLS != (TLS{}) {
		scheme = "https://"
	}
	urls := make(map[string]string, len(e.Members))
	for _, m := range e.Members {
		urls[m.Name] = scheme + m.Peer
	}
	return urls
}

func (c *Config) readNats(s *section) {
	n := &Nats{}
	s.strings("servers", &n.Servers, true)
	for key, into := range map[string]*string{
		"bucket": &n.Bucket, "domain": &n.Domain, "credentials": &n.Credentials, "nkey": &n.NKey, "user": &n.User,
		"cacert": &n.CACert, "cert": &n.Cert, "key": &n.Key,
	} {
		s.string(key, into)
	}
	s.secret("password", &n.Password)
	s.secret("token", &n.Token)
	s.integer("replicas", &n.Replicas, 1, 5)
	s.duration("clock_skew", &n.ClockSkew, time.Second, 0)
	s.done()
	if len(n.Servers) == 0 {
		s.missing("servers", "name the servers, for example [nats://10.0.0.1:4222]")
	}
	if (n.Cert == "") != (n.Key == "") {
		s.bad("cert", s.tree.get("cert"), "want both cert and key, or neither")
	}
	c.Nats = n
}
