package httpapi

import (
	"context"
	"net/http"
)

// ChangeBody is the body of a switchover or failover.
type ChangeBody struct {
	Leader      string `json:"leader,omitempty"`
	Candidate   string `json:"candidate,omitempty"`
	ScheduledAt string `json:"scheduled_at,omitempty"`
}

// RestartBody is the body of a restart. Timeout is seconds, or a text with a unit.
type RestartBody struct {
	Schedule        string `json:"schedule,omitempty"`
	Role            string `json:"role,omitempty"`
	PostgresVersion string `json:"postgres_version,omitempty"`
	Timeout         any    `json:"timeout,omitempty"`
	RestartPending  bool   `json:"restart_pending,omitempty"`
}

// ReinitializeBody is the body of a reinitialize.
type ReinitializeBody struct {
	Force      bool `json:"force,omitempty"`
	FromLeader bool `json:"from_leader,omitempty"`
}

// Switchover orders a planned change of the leader, and waits for its result.
func (c *Client) Switchover(ctx context.Context, api string, b ChangeBody) (Reply, error) {
	return c.do(ctx, http.MethodPost, api, "/switchover", b)
}

// Failover orders an unplanned change of the leader, and waits for its result.
func (c *Client) Failover(ctx context.Context, api string, b ChangeBody) (Reply, error) {
	return c.do(ctx, http.MethodPost, api, "/failover", b)
}

// CancelSwitchover deletes a scheduled switchover.
func (c *Client) CancelSwitchover(ctx context.Context, api string) (Reply, error) {
	return c.do(ctx, http.MethodDelete, api, "/switchover", nil)
}

// Restart restarts a member's PostgreSQL, now (and waits for it) or later.
func (c *Client) Restart(ctx context.Context, api string, b RestartBody) (Reply, error) {
	return c.do(ctx, http.MethodPost, api, "/restart", b)
}

// CancelRestart deletes a scheduled restart.
func (c *Client) CancelRestart(ctx context.Context, api string) (Reply, error) {
	return c.do(ctx, http.MethodDelete, api, "/restart", nil)
}

// Reload makes a member read its local configuration again.
func (c *Client) Reload(ctx context.Context, api string) (Reply, error) {
	return c.do(ctx, http.MethodPost, api, "/reload", nil)
}

// Reinitialize makes a member throw its data away and clone again.
func (c *Client) Reinitialize(ctx context.Context, api string, b ReinitializeBody) (Reply, error) {
	return c.do(ctx, http.MethodPost, api, "/reinitialize", b)
}

// PatchConfig changes the dynamic configuration. The change is anything that encodes as a JSON object.
func (c *Client) PatchConfig(ctx context.Context, api string, change any) (Reply, error) {
	return c.do(ctx, http.MethodPatch, api, "/config", change)
}

// PutConfig replaces the dynamic configuration.
func (c *Client) PutConfig(ctx context.Context, api string, document any) (Reply, error) {
	return c.do(ctx, http.MethodPut, api, "/config", document)
}
