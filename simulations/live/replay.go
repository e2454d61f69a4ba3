package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// ReplayLogs decides everything again that the agents recorded, and says so if any decision or state comes out otherwise.
func (c *Cluster) ReplayLogs(ctx context.Context) error {
	var errs []error
	for _, m := range c.members {
		out, err := exec.CommandContext(ctx, c.binary, "log", "replay", m.EventLogDir).CombinedOutput()
		text := strings.TrimSpace(string(out))
		if err != nil {
			errs = append(errs, fmt.Errorf("replay the log of %s: %w: %s", m.Name, err, text))
			continue
		}
		c.logf("%s", text)
	}
	return errors.Join(errs...)
}

// ShowLog is what `regent log show` prints of a member's log.
func (c *Cluster) ShowLog(ctx context.Context, m *Member) (string, error) {
	out, err := exec.CommandContext(ctx, c.binary, "log", "show", m.EventLogDir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("show the log of %s: %w: %s", m.Name, err, out)
	}
	return string(out), nil
}

// JudgeLogs puts all logs on one axis and judges them, and lets models take over from the last change of the leader on, each of some seeds: what
// came of that is returned.
func (c *Cluster) JudgeLogs(ctx context.Context) (Judged, error) {
	args := []string{"sim", "replay", "--json", "-"}
	for _, m := range c.members {
		args = append(args, m.EventLogDir)
	}
	var j Judged
	if err := c.judge(ctx, &j, args...); err != nil {
		return j, err
	}
	at := j.lastChange()
	if at == nil {
		return j, errors.New("judge the logs: nobody was seen to lead")
	}
	return j, c.judge(ctx, &j, append(args, "--free-from", fmt.Sprintf("%d:%d", at.Run, at.Seq), "--member", at.Member, "--seeds", "5", "--for", "1m",
		"--shrink", "0")...)
}

// Judged is what `regent sim replay` found, as far as is read here.
type Judged struct {
	Replay struct {
		Members []struct {
			Name   string
			Inputs int
			Equal  int
			Passed int
			Ahead  time.Duration
			Doubt  time.Duration
			Known  bool
		}
		Lines    []Step
		Breaches []struct{ Invariant, Text string }
		Closest  []struct {
			Kind, Text string
			Left       time.Duration
		}
		LeftOut []string `json:"left_out"`
	}
	Free struct {
		LeftOut  []string `json:"left_out"`
		Verdicts map[string]int
	}
}

// Step is a step of a member's lifecycle.
type Step struct {
	Member string
	To     string
	Run    int
	Seq    uint64
}

func (j *Judged) lastChange() *Step {
	for i := len(j.Replay.Lines) - 1; i >= 0; i-- {
		if l := &j.Replay.Lines[i]; l.To == "leading" {
			return l
		}
	}
	return nil
}

func (c *Cluster) judge(ctx context.Context, j *Judged, args ...string) error {
	cmd := exec.CommandContext(ctx, c.binary, args...)
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if failed := json.Unmarshal(out, j); failed != nil {
		return fmt.Errorf("judge the logs: %w: %s", errors.Join(err, failed), errOut.String())
	}
	if err != nil {
		return fmt.Errorf("judge the logs: %w: %s: %v, %v", err, errOut.String(), j.Replay.Breaches, j.Free.Verdicts)
	}
	return nil
}
