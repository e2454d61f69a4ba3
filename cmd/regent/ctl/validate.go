package ctl

import (
	"fmt"
	"io"

	"github.com/regent-ha/regent/internal/config"
)

// Validate reads an agent's configuration and prints everything that is wrong or suspicious in it. With
// print it prints the merged document too, without its secrets.
func Validate(path string, show bool, out, errOut io.Writer) error {
	c, warnings, err := config.Load(path)
	for _, w := range warnings {
		_, _ = fmt.Fprintf(errOut, "warning: %s\n", w)
	}
	if err != nil {
		return &ExitError{Code: 1, Message: err.Error()}
	}
	if show {
		if _, err := out.Write(c.Redacted()); err != nil {
			return err
		}
	}
	if err := c.Validate(); err != nil {
		return &ExitError{Code: 1, Message: err.Error()}
	}
	return nil
}
