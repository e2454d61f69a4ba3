package fence

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func readProc(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	must(t, err)
	return string(b)
}

// cpuTime sums what the scheduler has counted for every thread, in nanoseconds.
func cpuTime(t *testing.T, pid int) (sum time.Duration, threads int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	for _, task := range tasks {
		fields := strings.Fields(readProc(t, pid, "task/"+task.Name()+"/schedstat"))
		n, err := strconv.ParseInt(fields[0], 10, 64)
		must(t, err)
		sum += time.Duration(n)
	}
	return sum, len(tasks)
}

func TestFootprint(t *testing.T) {
	s := newServer(t)
	r := startRig(t, testConfig(runtimeDir(t), s.dir))
	pid := r.guardPID()
	measure := func(what string) {
		const span = 4 * time.Second
		before, threads := cpuTime(t, pid)
		begin := time.Now()
		time.Sleep(span) // what is measured is the passing of time
		after, _ := cpuTime(t, pid)
		share := float64(after-before) / float64(time.Since(begin)) * 100
		t.Logf("%s: %.3f %% of a core, %d threads", what, share, threads)
		if share > 2 {
			t.Errorf("%s: the guard uses %.2f %% of a core", what, share)
		}
	}
	measure("disarmed")
	armed(t, r, time.Minute)
	measure("armed")
	roll := readProc(t, pid, "smaps_rollup")
	t.Log(regexp.MustCompile(`(?m)^(Rss|Pss|Private_Dirty|Anonymous|Locked): .*$`).FindAllString(roll, -1))
	t.Logf("powers %#b, oom_score_adj %s", r.page.Load().powers.Load(), strings.TrimSpace(readProc(t, pid, "oom_score_adj")))
}
