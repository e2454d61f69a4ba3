package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/regent-ha/regent/simulations/live"
)

const (
	idleSettle = 5 * time.Second // after a cluster became healthy
	idleLook   = 60 * time.Second
	quickLook  = 20 * time.Second
	// ticksPerSecond is the unit of processor times in /proc, the same on every Linux.
	ticksPerSecond = 100
)

// Footprint is what a process needs while nothing happens.
type Footprint struct {
	Store         string
	Member        string
	Process       string  // agent or guard
	Leads         bool    // the member leads
	PSSMegabytes  float64 // 10^6 bytes; pages that processes share are divided among them
	RSSMegabytes  float64
	CPUPerMinute  float64 // seconds
	mostMegabytes float64
}

const (
	mostAgent    = 25.0 // MB of PSS
	mostEmbedded = 60.0
)

type watchedProcess struct {
	Footprint
	pid   int
	ticks uint64
}

// footprint looks at all agents and guards of an idle cluster.
func (b *bench) footprint(ctx context.Context, c *live.Cluster, store string) error {
	look := idleLook
	if b.Quick {
		look = quickLook
	}
	b.logf("%s: looking at idle agents for %v", store, look)
	wait(ctx, idleSettle)
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	var all []*watchedProcess
	for _, m := range c.Members() {
		base := Footprint{Store: store, Member: m.Name, Leads: m == leader, Process: "agent", mostMegabytes: mostAgent}
		if store == live.Embedded {
			base.mostMegabytes = mostEmbedded
		}
		all = append(all, &watchedProcess{Footprint: base, pid: m.AgentPID()})
		if pid := m.GuardPID(); pid != 0 {
			base.Process, base.mostMegabytes = "guard", 0
			all = append(all, &watchedProcess{Footprint: base, pid: pid})
		}
	}
	began := time.Now()
	for _, p := range all {
		if p.ticks, err = cpuTicks(p.pid); err != nil {
			return err
		}
	}
	wait(ctx, look)
	for _, p := range all {
		ticks, err := cpuTicks(p.pid)
		if err != nil {
			return err
		}
		p.CPUPerMinute = float64(ticks-p.ticks) / ticksPerSecond / time.Since(began).Minutes()
		if p.PSSMegabytes, p.RSSMegabytes, err = memory(p.pid); err != nil {
			return err
		}
		b.report.Footprints = append(b.report.Footprints, p.Footprint)
	}
	return ctx.Err()
}

// cpuTicks is the processor time of a process so far.
func cpuTicks(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name before it may hold anything
	if len(f) < 13 {
		return 0, fmt.Errorf("processor time of process %d: stat has %d fields", pid, len(f))
	}
	user, err1 := strconv.ParseUint(f[11], 10, 64)
	system, err2 := strconv.ParseUint(f[12], 10, 64)
	return user + system, errors.Join(err1, err2)
}

// memory is the proportional and the resident size of a process, in MB.
func memory(pid int) (pss, rss float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("memory: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		kib, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		switch f[0] {
		case "Pss:":
			pss = kib * 1024 / 1e6
		case "Rss:":
			rss = kib * 1024 / 1e6
		}
	}
	if pss == 0 {
		return 0, 0, fmt.Errorf("memory of process %d: no Pss in smaps_rollup", pid)
	}
	return pss, rss, nil
}
