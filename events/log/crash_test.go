package log

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

const crashDir = "REGENT_TEST_CRASH_DIR"

// TestMain is also the program that TestKilledWriter kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever prints the number of every input that is on disk.
func writeForever(dir string) error {
	w, report, err := Open(dir, Options{SegmentBytes: 4 << 10, MaxBytes: 1 << 30})
	if err != nil {
		return err
	}
	if report.Damage != nil {
		return report.Damage
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for seq := report.Next; ; seq++ {
		w.Append(OfInput(testInput(seq)))
		if seq%5 != 0 {
			continue
		}
		if err := w.Sync(ctx); err != nil {
			return err
		}
		if _, err := fmt.Println(seq); err != nil {
			return err
		}
	}
}

// An agent that is killed at any moment leaves a log that can be read and gone on with, up to what was synced at least.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	synced := uint64(0)
	for round := range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(testWait, func() { _ = cmd.Process.Kill() }) // ends the lines, and so the test
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if synced, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if n == 7*(round+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !late.Stop() {
			t.Fatalf("the writer was not killed in time: %v", err)
		}
		b := readAll(dir)
		if n := uint64(len(b.records)); len(b.errs) > 0 || n < synced || synced == 0 {
			t.Fatalf("%d records of which %d must be there, errors %v", n, synced, b.errs)
		}
		for i, r := range b.records {
			if r.Seq != uint64(i+1) {
				t.Fatalf("record %d holds input %d", i+1, r.Seq)
			}
		}
	}
	t.Logf("%d records synced by 6 writers that were killed", synced)
}
