package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

// Verb is something that can be done to the cluster.
type Verb string

// The orders. They are also the subcommands.
const (
	KillPostgres Verb = "kill-postgres"
	KillAgent    Verb = "kill-agent"
	Freeze       Verb = "freeze"
	Thaw         Verb = "thaw"
	KillMember   Verb = "kill-member"
	StartMember  Verb = "start-member"
	Switchover   Verb = "switchover"
	Pause        Verb = "pause"
	Resume       Verb = "resume"
	TogglePause  Verb = "toggle-pause"
	StatusVerb   Verb = "status"
	Stop         Verb = "stop"
)

// Order is one of them. Member is a name, a number, "leader", or empty for the most likely one.
type Order struct {
	Verb   Verb   `json:"verb"`
	Member string `json:"member,omitempty"`
}

const orderLimit = 60 * time.Second

// hands carry out orders on a real cluster.
type hands struct {
	cluster *live.Cluster
	picture func() Picture
}

// do carries out an order and says what was done.
func (h *hands) do(ctx context.Context, o Order) (member, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	switch o.Verb {
	case Switchover:
		return h.switchover(ctx, o.Member)
	case Pause, Resume, TogglePause:
		text, err = h.pause(ctx, o.Verb)
		return "", text, err
	}
	p := h.picture()
	name, err := chooseMember(&p, o)
	if err != nil {
		return "", "", err
	}
	text, err = h.hurt(ctx, h.cluster.Member(name), o.Verb)
	return name, text, err
}

func (h *hands) hurt(ctx context.Context, m *live.Member, verb Verb) (string, error) {
	switch verb {
	case KillPostgres:
		pid := m.PostmasterPID()
		return fmt.Sprintf("killed PostgreSQL of %s (process %d)", m.Name, pid), m.KillPostgres()
	case KillAgent:
		pid := m.AgentPID()
		return fmt.Sprintf("killed the agent of %s (process %d); PostgreSQL and guard run on", m.Name, pid), m.KillAgent(ctx)
	case Freeze:
		return fmt.Sprintf("froze the agent of %s (SIGSTOP, process %d)", m.Name, m.AgentPID()), m.FreezeAgent(ctx)
	case Thaw:
		return fmt.Sprintf("thawed the agent of %s (SIGCONT, process %d)", m.Name, m.AgentPID()), m.ThawAgent(ctx)
	case KillMember:
		return fmt.Sprintf("killed all of %s: agent, guard, store and PostgreSQL", m.Name), m.KillAll(ctx)
	case StartMember:
		return fmt.Sprintf("started the agent of %s again", m.Name), m.StartAgent()
	}
	return "", fmt.Errorf("unknown order %q", verb)
}

func (h *hands) switchover(ctx context.Context, to string) (member, text string, err error) {
	p := h.picture()
	if p.Leader == "" {
		return "", "", errors.New("no member leads now: wait for a leader")
	}
	if to != "" {
		if to, err = resolve(&p, to); err != nil {
			return "", "", err
		}
		if to == p.Leader {
			return "", "", fmt.Errorf("%s leads already: choose another member", to)
		}
	}
	began := time.Now()
	text, err = h.cluster.Switchover(ctx, to)
	return p.Leader, fmt.Sprintf("%s (%.1f s)", strings.TrimSpace(text), time.Since(began).Seconds()), err
}

func (h *hands) pause(ctx context.Context, verb Verb) (string, error) {
	on := verb == Pause
	if verb == TogglePause {
		p := h.picture()
		on = !p.Paused
	}
	if on {
		return "paused: the members watch and do nothing", h.cluster.PatchConfig(ctx, map[string]any{"pause": true})
	}
	return "resumed: the members manage the cluster again", h.cluster.PatchConfig(ctx, map[string]any{"pause": nil})
}

// chooseMember finds the member that an order is for. Without a name it is the leader, but for thaw and start-member the
// one that needs it.
func chooseMember(p *Picture, o Order) (string, error) {
	if o.Member != "" {
		return resolve(p, o.Member)
	}
	need := map[Verb]string{Thaw: ProcessFrozen, StartMember: ProcessDown}[o.Verb]
	if need == "" {
		return resolve(p, "leader")
	}
	for _, m := range p.Members {
		if m.Agent == need {
			return m.Name, nil
		}
	}
	return "", fmt.Errorf("no member's agent is %s", need)
}

// resolve finds a member by name or number, or the leader.
func resolve(p *Picture, text string) (string, error) {
	if text == "leader" {
		if p.Leader == "" {
			return "", errors.New("no member leads now: name one")
		}
		return p.Leader, nil
	}
	if m := p.member(text); m != nil {
		return m.Name, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(p.Members) {
		return p.Members[n-1].Name, nil
	}
	names := make([]string, 0, len(p.Members))
	for _, m := range p.Members {
		names = append(names, m.Name)
	}
	return "", fmt.Errorf("there is no member %q: want one of %s, its number, or leader", text, strings.Join(names, ", "))
}
