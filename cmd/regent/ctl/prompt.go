package ctl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// lineReader reads answers line by line.
type lineReader struct {
	in     io.Reader
	buffer *bufio.Reader
}

func (r *lineReader) line() (string, error) {
	if r.in == nil {
		return "", io.EOF
	}
	if r.buffer == nil {
		r.buffer = bufio.NewReader(r.in)
	}
	text, err := r.buffer.ReadString('\n')
	if errors.Is(err, io.EOF) && text != "" {
		err = nil
	}
	return strings.TrimRight(text, "\r\n"), err
}

var errAborted = &ExitError{Code: 1, Message: "Aborted!"}

// prompt asks for a text; an empty answer is the default.
func (s *Session) prompt(question, byDefault string) (string, error) {
	if _, err := fmt.Fprintf(s.Out, "%s [%s]: ", question, byDefault); err != nil {
		return "", err
	}
	answer, err := s.lines.line()
	if err != nil {
		s.print("")
		return "", errAborted
	}
	if answer == "" {
		return byDefault, nil
	}
	return strings.TrimSpace(answer), nil
}

// need asks for a text until there is one.
func (s *Session) need(question string) (string, error) {
	for {
		if _, err := fmt.Fprintf(s.Out, "%s: ", question); err != nil {
			return "", err
		}
		answer, err := s.lines.line()
		if err != nil {
			s.print("")
			return "", errAborted
		}
		if answer = strings.TrimSpace(answer); answer != "" {
			return answer, nil
		}
	}
}

// confirm asks yes or no; an empty answer is no.
func (s *Session) confirm(question string) (bool, error) {
	for {
		if _, err := fmt.Fprintf(s.Out, "%s [y/N]: ", question); err != nil {
			return false, err
		}
		answer, err := s.lines.line()
		if err != nil {
			s.print("")
			return false, errAborted
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return true, nil
		case "n", "no", "":
			return false, nil
		}
		s.print("Error: invalid input")
	}
}
