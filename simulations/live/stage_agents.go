package live

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// StartAgent starts an agent that does not run. With an embedded store, the first start of a cluster starts all agents, because one alone is no quorum,
// and moves the lead to the first if another was faster.
func (s *Stage) StartAgent(member string) error {
	m := s.member(member)
	if s.down[member] {
		return fmt.Errorf("the host of %s is down", member)
	}
	if s.c.external() || !s.boots && m.AgentPID() == 0 {
		return m.StartAgent()
	}
	if !s.boots {
		return nil // with the first
	}
	s.boots = false
	for _, o := range s.c.members {
		if err := o.StartAgent(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(s.ctx, 2*buildPatience)
	defer cancel()
	if err := s.c.WaitHealthy(ctx); err != nil {
		return err
	}
	leader, err := s.c.WaitLeader(ctx, nil)
	if err != nil || leader == m {
		return err
	}
	if _, err := s.c.Switchover(ctx, member); err != nil {
		return err
	}
	_, err = s.c.WaitLeader(ctx, func(name string) bool { return name == member })
	return err
}

// StopAgent asks it to end.
func (s *Stage) StopAgent(member string) error {
	m := s.member(member)
	if m.AgentPID() == 0 {
		return fmt.Errorf("the agent of %s does not run", member)
	}
	return m.signalAgent(unix.SIGTERM)
}

// KillAgent ends it.
func (s *Stage) KillAgent(member string) error {
	delete(s.frozen, member)
	return s.bounded(s.member(member).KillAgent)
}

// FreezeAgent stops its time.
func (s *Stage) FreezeAgent(member string) error {
	err := s.bounded(s.member(member).FreezeAgent)
	s.frozen[member] = err == nil
	return err
}

// ThawAgent lets it go on.
func (s *Stage) ThawAgent(member string) error {
	delete(s.frozen, member)
	return s.bounded(s.member(member).ThawAgent)
}

// KillGuard ends a guard.
func (s *Stage) KillGuard(member string) error { return s.bounded(s.member(member).KillGuard) }

// KillHost takes the cable out and kills everything: whoever speaks with the host is not told.
func (s *Stage) KillHost(member string) error {
	m := s.member(member)
	delete(s.frozen, member)
	delete(s.hung, member)
	s.down[member] = true
	return errors.Join(m.host.plug(false), s.bounded(m.KillAll))
}

// BootHost starts the agent, which starts its guard.
func (s *Stage) BootHost(member string) error {
	m := s.member(member)
	if m.AgentPID() != 0 {
		return fmt.Errorf("the agent of %s runs", member)
	}
	delete(s.down, member)
	if err := m.host.plug(true); err != nil {
		return err
	}
	return m.StartAgent()
}

func (s *Stage) bounded(do func(context.Context) error) error {
	ctx, cancel := s.within()
	defer cancel()
	return do(ctx)
}

// KillPostgres kills a postmaster.
func (s *Stage) KillPostgres(member string) error { return s.member(member).KillPostgres() }

// HangPostgres stops all of its processes.
func (s *Stage) HangPostgres(member string) error {
	m := s.member(member)
	if m.PostmasterPID() == 0 {
		return fmt.Errorf("PostgreSQL of %s does not run", member)
	}
	s.hung[member] = true
	return m.FreezePostgres()
}

// WedgePostgres refuses: only a disk that is gone does that.
func (s *Stage) WedgePostgres(string) error {
	return errors.New("no process can be made to hang in the kernel here")
}

// BlindProbe refuses.
func (s *Stage) BlindProbe(string, bool) error {
	return errors.New("the agent's looks at PostgreSQL cannot be made to fail here while it works")
}

// ResumePostgres lets them go on.
func (s *Stage) ResumePostgres(member string) error {
	delete(s.hung, member)
	return s.member(member).ThawPostgres()
}

// PromotePostgres ends recovery by hand.
func (s *Stage) PromotePostgres(member string) error {
	ctx, cancel := s.within()
	defer cancel()
	m := s.member(member)
	recovers, err := m.Query(ctx, "SELECT pg_is_in_recovery()::text")
	if err == nil && recovers != "true" {
		err = fmt.Errorf("PostgreSQL of %s is no replica", member)
	}
	if err != nil {
		return err
	}
	return m.Exec(ctx, "SELECT pg_promote(false)")
}

// EmptyData takes a data directory away.
func (s *Stage) EmptyData(member string) error { return s.member(member).EmptyData() }

// ForeignData puts a new cluster there.
func (s *Stage) ForeignData(member string) error {
	m := s.member(member)
	tools, err := s.c.tools()
	if err == nil {
		err = m.EmptyData()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, buildPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(tools, "initdb"), "--pgdata="+m.DataDir, "--username="+superuser, "--auth=trust", "--data-checksums",
		"--encoding=UTF8", "--locale=C")
	cmd.Dir, cmd.Env = s.c.dir, s.c.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.c.credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make another cluster for %s: %w: %s", member, err, out)
	}
	return nil
}

// tools is where the programs of a PostgreSQL are that runs here.
func (c *Cluster) tools() (string, error) {
	for _, m := range c.members {
		found, err := find(m.isPostgres)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return filepath.Dir(found[0].exe), nil
		}
	}
	return "", errors.New("no PostgreSQL runs that would tell where its programs are")
}
