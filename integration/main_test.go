package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain builds what is started. An up-to-date binary costs go build a second.
func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var (
	root   = ".."
	binary = filepath.Join(root, "bin", "regent")
)

func build() error {
	if err := goBuild("-o", filepath.Join("bin", "regent"), "./cmd/regent"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "bin", "nats-server")); err == nil {
		return nil
	}
	return goBuild("-C", filepath.Join("tools", "nats"), "-o", filepath.Join("..", "..", "bin", "nats-server"), "github.com/nats-io/nats-server/v2")
}

func goBuild(args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %v: %w: %s", args, err, out)
	}
	return nil
}
