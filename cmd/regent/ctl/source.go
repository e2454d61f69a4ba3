package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/regent-ha/regent/backends"
	"github.com/regent-ha/regent/events"
	"github.com/regent-ha/regent/httpapi"
)

// Source is where the state of the cluster is read from, and where the keys are written that
// concern all members.
type Source interface {
	// Cluster reads who is there, linearizably where the source can.
	Cluster(ctx context.Context) (*Cluster, error)
	// Config reads the dynamic configuration.
	Config(ctx context.Context) (Document, error)
	// PutConfig replaces old; ErrConcurrent if it is not there any more.
	PutConfig(ctx context.Context, doc json.RawMessage, old Document) error
	// History reads the ended timelines.
	History(ctx context.Context) ([]events.HistoryRow, error)
	// PutFailover writes the failover key if it is still at the revision of c; ErrNoStore where there is
	// no access to the store.
	PutFailover(ctx context.Context, record events.FailoverRecord, c *Cluster) error
	// Noticed tells which members have noticed that the cluster is paused.
	Noticed(ctx context.Context) (map[string]bool, error)
	Close() error
}

// Cluster is what a source knows of the cluster.
type Cluster struct {
	httpapi.Cluster
	// SystemID is nil without the key, empty while the cluster is being created.
	SystemID         *string
	FailoverRevision uint64
}

// Leader is the name of the leader, empty if there is none.
func (c *Cluster) Leader() string {
	if m := c.leader(); m != nil {
		return m.Name
	}
	return ""
}

func (c *Cluster) leader() *httpapi.ClusterMember {
	for i := range c.Members {
		if strings.HasSuffix(c.Members[i].Role, "leader") {
			return &c.Members[i]
		}
	}
	return nil
}

// Member finds a member by name, nil if there is none.
func (c *Cluster) Member(name string) *httpapi.ClusterMember {
	for i := range c.Members {
		if c.Members[i].Name == name {
			return &c.Members[i]
		}
	}
	return nil
}

// Document is the dynamic configuration; Value is nil if there is none.
type Document struct {
	Value    json.RawMessage
	Revision uint64
}

// ErrConcurrent tells that somebody else was first.
var ErrConcurrent = errors.New("changed by somebody else meanwhile")

// ErrNoStore tells that an order needs the store itself.
var ErrNoStore = errors.New("needs access to the store, which -u/--url does not give")

// StoreSource reads the store.
type StoreSource struct {
	Store backends.Store
	Scope string
}

func (s *StoreSource) view(ctx context.Context) (*events.View, error) {
	snapshot, err := s.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	view := events.ParseView(snapshot)
	return &view, nil
}

// Cluster reads a snapshot.
func (s *StoreSource) Cluster(ctx context.Context) (*Cluster, error) {
	view, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	return &Cluster{Cluster: httpapi.ClusterJSON(view, s.Scope), SystemID: view.Initialize, FailoverRevision: view.Failover.Revision}, nil
}

// Config reads the key config.
func (s *StoreSource) Config(ctx context.Context) (Document, error) {
	view, err := s.view(ctx)
	if err != nil {
		return Document{}, err
	}
	return Document{view.Config, view.ConfigRevision}, nil
}

// PutConfig writes the key config under the condition that it is still old.
func (s *StoreSource) PutConfig(ctx context.Context, doc json.RawMessage, old Document) error {
	_, err := s.Store.Put(ctx, events.KeyConfig, string(doc), int64(old.Revision))
	if errors.Is(err, backends.ErrConflict) {
		return ErrConcurrent
	}
	return err
}

// History reads the key history.
func (s *StoreSource) History(ctx context.Context) ([]events.HistoryRow, error) {
	view, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	return view.History, nil
}

// PutFailover writes the key failover.
func (s *StoreSource) PutFailover(ctx context.Context, record events.FailoverRecord, c *Cluster) error {
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write failover key: %w", err)
	}
	_, err = s.Store.Put(ctx, events.KeyFailover, string(text), int64(c.FailoverRevision))
	if errors.Is(err, backends.ErrConflict) {
		return ErrConcurrent
	}
	return err
}

// Noticed reads the members' records.
func (s *StoreSource) Noticed(ctx context.Context) (map[string]bool, error) {
	view, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	notices := map[string]bool{}
	for i := range view.Members {
		notices[view.Members[i].Name] = view.Members[i].Pause
	}
	return notices, nil
}

// Close closes the store.
func (s *StoreSource) Close() error { return s.Store.Close() }
