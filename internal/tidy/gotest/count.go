package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string // empty when the event is the package's own
	Output  string
}

// counter reads the events of go test and prints what a reader needs of them.
type counter struct {
	out      io.Writer
	printErr error // the first one
	// running lists the tests of each package that have begun and not ended, oldest first.
	running map[string][]string
	// held keeps the output of a running test until it is known whether anybody needs it.
	held map[string][]string

	packagesOK, packagesFailed, packagesEmpty int
	passed                                    int
	failed, skipped                           []string
	matrix                                    matrix
}

func newCounter(out io.Writer) *counter {
	return &counter{out: out, running: map[string][]string{}, held: map[string][]string{}}
}

func (c *counter) print(text string) {
	if _, err := io.WriteString(c.out, text); err != nil && c.printErr == nil {
		c.printErr = err
	}
}

// read consumes events until the end. A line that is no event is printed as it is.
func (c *counter) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				c.add(e)
			} else {
				c.print(string(line))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *counter) add(e event) {
	switch {
	case e.Action == "build-output":
		c.print(e.Output)
	case e.Test == "":
		c.addPackage(e)
	default:
		c.addTest(e)
	}
}

func (c *counter) addPackage(e event) {
	switch e.Action {
	case "output":
		if e.Output != "PASS\n" { // go test prints it only with -v
			c.print(e.Output)
		}
	case "pass":
		c.packagesOK++
	case "skip":
		c.packagesEmpty++
	case "fail":
		c.packagesFailed++
		// A package that crashed leaves tests without an end; any of them may be the culprit.
		for _, test := range slices.Clone(c.running[e.Package]) {
			name := c.end(e.Package, test)
			c.release(name)
			c.failed = append(c.failed, name+" (did not end)")
		}
	}
}

func (c *counter) addTest(e event) {
	switch e.Action {
	case "run":
		c.running[e.Package] = append(c.running[e.Package], e.Test)
	case "output":
		c.matrix.read(e.Output)
		name := e.Package + " " + e.Test
		c.held[name] = append(c.held[name], e.Output)
	case "pass":
		name := c.end(e.Package, e.Test)
		c.report(name)
		delete(c.held, name)
		c.passed++
	case "skip":
		name := c.end(e.Package, e.Test)
		c.release(name)
		c.skipped = append(c.skipped, name)
	case "fail":
		name := c.end(e.Package, e.Test)
		c.release(name)
		c.failed = append(c.failed, name)
	}
}

// end takes a test off the running ones and returns its full name.
func (c *counter) end(pkg, test string) string {
	c.running[pkg] = slices.DeleteFunc(c.running[pkg], func(t string) bool { return t == test })
	return pkg + " " + test
}

// release prints what a test said, without the lines about its scheduling.
func (c *counter) release(name string) {
	for _, line := range c.held[name] {
		if !strings.HasPrefix(line, "=== ") {
			c.print(line)
		}
	}
	delete(c.held, name)
}

// report prints the lines that a test that passed wants to be read, without their mark.
func (c *counter) report(name string) {
	for _, line := range c.held[name] {
		if text, marked := strings.CutPrefix(line, "report: "); marked {
			c.print(text)
		}
	}
}

// summary prints the names that need a look, and the counts.
func (c *counter) summary() {
	if text := c.matrix.String(); text != "" {
		c.print(text + provenance("simulations/stores"))
	}
	for _, name := range c.failed {
		c.print("FAILED " + name + "\n")
	}
	for _, name := range c.skipped {
		c.print("SKIPPED " + name + "\n")
	}
	c.print(fmt.Sprintf("packages: %d ok, %d failed, %d without tests; tests: %d passed, %d failed, %d skipped\n",
		c.packagesOK, c.packagesFailed, c.packagesEmpty, c.passed, len(c.failed), len(c.skipped)))
}
