package nats

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain lets the cases of the contract run side by side: they wait for leases to end, they do not compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}
