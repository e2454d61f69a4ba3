package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/backends/etcd"
	"github.com/regent-ha/regent/backends/nats"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/internal/bootclock"
)

// StoreServers is how many there are; none of an embedded store.
func (s *Stage) StoreServers() int { return s.c.StoreServers() }

// KillStoreServer ends a server of the store.
func (s *Stage) KillStoreServer(n int) error {
	return s.bounded(func(ctx context.Context) error { return s.c.StopStore(ctx, n-1) })
}

// StartStoreServer starts it again, and does not wait for it: alone it may be no quorum.
func (s *Stage) StartStoreServer(n int) error { return s.c.servers[n-1].start() }

// FreezeStoreServer stops its time.
func (s *Stage) FreezeStoreServer(n int) error { return s.c.FreezeStore(n - 1) }

// ThawStoreServer lets it go on.
func (s *Stage) ThawStoreServer(n int) error { return s.c.ThawStore(n - 1) }

// WipeStore stops all servers, removes what they stored, and starts them again as new ones.
func (s *Stage) WipeStore() error {
	ctx, cancel := context.WithTimeout(s.ctx, buildPatience)
	defer cancel()
	if err := s.c.StopStore(ctx); err != nil {
		return err
	}
	for _, server := range s.c.servers {
		if err := os.RemoveAll(filepath.Join(server.dir, "data")); err != nil {
			return fmt.Errorf("wipe the store: %w", err)
		}
	}
	return s.c.StartStore(ctx)
}

// StoreTroubles are none: they are what models can do.
func (s *Stage) StoreTroubles() []string { return nil }

// TroubleStore refuses.
func (s *Stage) TroubleStore(string) error { return errTrouble }

var errTrouble = errors.New("only a model of a store has troubles; a real one can be killed, frozen and cut")

// StoreLeader is the server that leads the store.
func (s *Stage) StoreLeader() (int, error) {
	ctx, cancel := context.WithTimeout(s.ctx, connectLimit)
	defer cancel()
	ask := (*server).leadsEtcd
	if s.c.opts.Store == Nats {
		ask = (*server).leadsNats
	}
	for i, server := range s.c.servers {
		if leads, err := ask(server, ctx); err == nil && leads { // who does not answer does not lead
			return i + 1, nil
		}
	}
	return 0, nil
}

func (s *server) leadsEtcd(ctx context.Context) (bool, error) {
	var status struct {
		Header struct {
			Member string `json:"member_id"`
		} `json:"header"`
		Leader string `json:"leader"`
	}
	err := s.c.ask(ctx, http.MethodPost, "http://"+s.address(portServe)+"/v3/maintenance/status", &status)
	return status.Leader != "" && status.Leader == status.Header.Member, err
}

// leadsNats tells whether it leads the stream of the bucket.
func (s *server) leadsNats(ctx context.Context) (bool, error) {
	var info struct {
		Accounts []struct {
			Streams []struct {
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	err := s.c.ask(ctx, http.MethodGet, "http://"+s.address(portMonitor)+"/jsz?accounts=true&streams=true", &info)
	for _, a := range info.Accounts {
		for _, stream := range a.Streams {
			if stream.Cluster.Leader == s.name {
				return err == nil, err
			}
		}
	}
	return false, err
}

// ask reads JSON from a server.
func (c *Cluster) ask(ctx context.Context, method, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	resp, err := c.plain.Do(req)
	if err != nil {
		return err
	}
	err = json.NewDecoder(resp.Body).Decode(into)
	return errors.Join(err, resp.Body.Close())
}

// directory opens the store as an ordinary client of it.
func (s *Stage) directory(ctx context.Context) (backends.Store, error) {
	if s.store != nil {
		return s.store, nil
	}
	targets := s.c.serverAddresses("")
	for _, m := range s.c.members {
		if !s.c.external() {
			targets = append(targets, m.address(portStoreClient))
		}
	}
	var addresses []string
	for _, t := range targets {
		f, err := s.c.forward(t)
		if err != nil {
			return nil, fmt.Errorf("open the store: %w", err)
		}
		s.lines, addresses = append(s.lines, f), append(addresses, f.address())
	}
	base := backends.Config{Scope: Scope, Member: "scenario", Now: bootclock.Now}
	var err error
	if s.c.opts.Store == Nats {
		s.store, err = opened(nats.Open(ctx, nats.Config{Config: base, Servers: addresses}))
	} else {
		s.store, err = opened(etcd.Open(ctx, etcd.Config{Config: base, Endpoints: addresses}))
	}
	return s.store, err
}

// opened keeps a nil pointer from becoming a store.
func opened[S backends.Store](s S, err error) (backends.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Key reads a key.
func (s *Stage) Key(name string) (value string, there bool, err error) {
	ctx, cancel := s.within()
	defer cancel()
	store, err := s.directory(ctx)
	if err != nil {
		return "", false, err
	}
	all, err := store.Snapshot(ctx)
	if err != nil {
		return "", false, fmt.Errorf("read the key %s: %w", name, err)
	}
	for _, kv := range all.Keys {
		if kv.Key == name {
			return kv.Value, true, nil
		}
	}
	return "", false, nil
}

// PutKey writes one.
func (s *Stage) PutKey(name, value string) error {
	ctx, cancel := s.within()
	defer cancel()
	store, err := s.directory(ctx)
	if err == nil {
		_, err = store.Put(ctx, name, value, events.Any)
	}
	if err != nil {
		return fmt.Errorf("write the key %s: %w", name, err)
	}
	return nil
}

// RemoveKey deletes one.
func (s *Stage) RemoveKey(name string) error {
	ctx, cancel := s.within()
	defer cancel()
	store, err := s.directory(ctx)
	if err == nil {
		err = store.Delete(ctx, name, events.Any)
	}
	if err != nil {
		return fmt.Errorf("remove the key %s: %w", name, err)
	}
	return nil
}
