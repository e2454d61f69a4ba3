package live

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
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
