package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/regent-ha/regent/internal/config"
)

// EditOptions are those of edit-config.
type EditOptions struct {
	Quiet   bool
	Set     []string // dotted.path=value
	Pg      []string // parameter=value
	Apply   string   // a file, or - for standard input: laid over
	Replace string   // a file, or - for standard input: the whole document
	Force   bool
}

// EditConfig changes the dynamic configuration.
func (s *Session) EditConfig(ctx context.Context, o EditOptions) error {
	old, err := s.document(ctx)
	if err != nil {
		return err
	}
	if old.Value == nil {
		return fail("The config key does not exist in the cluster %s", s.Scope)
	}
	before, err := decodeDocument(old.Value)
	if err != nil {
		return err
	}
	after, err := s.edited(ctx, old, before, o)
	if err != nil {
		return err
	}
	beforeText, err := documentYAML(before)
	if err != nil {
		return err
	}
	afterText, err := documentYAML(after)
	if err != nil {
		return err
	}
	if beforeText == afterText {
		s.print("Not changed")
		return nil
	}
	if !o.Quiet {
		s.showDiff(unifiedDiff(beforeText, afterText))
	}
	doc, err := compactJSON(after)
	if err != nil {
		return err
	}
	if err := s.checkNew(old.Value, doc); err != nil {
		return err
	}
	if (o.Apply == "-" || o.Replace == "-") && !o.Force {
		s.notDone(ExitFailed)
		s.print("Use --force option to apply changes")
		return nil
	}
	if !o.Force {
		yes, err := s.confirm("Apply these changes?")
		if err != nil || !yes {
			return err
		}
	}
	writing, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	switch err := s.Source.PutConfig(writing, doc, old); {
	case errors.Is(err, ErrConcurrent):
		return fail("Config modification aborted due to concurrent changes")
	case err != nil:
		return fmt.Errorf("write dynamic configuration: %w", err)
	}
	s.print("Configuration changed")
	return nil
}

func (s *Session) document(ctx context.Context) (Document, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	doc, err := s.Source.Config(ctx)
	if err != nil {
		return doc, fmt.Errorf("read dynamic configuration of %s: %w", s.Scope, err)
	}
	return doc, nil
}

// edited is the document after all changes that the options ask for; the editor's if they ask for none.
func (s *Session) edited(ctx context.Context, old Document, before map[string]any, o EditOptions) (map[string]any, error) {
	after, err := decodeDocument(old.Value)
	if err != nil {
		return nil, err
	}
	if o.Replace == "" && o.Apply == "" && len(o.Set) == 0 && len(o.Pg) == 0 {
		return s.inEditor(ctx, before)
	}
	if o.Replace != "" {
		if after, err = s.readDocument(o.Replace); err != nil {
			return nil, err
		}
	}
	if o.Apply != "" {
		change, err := s.readDocument(o.Apply)
		if err != nil {
			return nil, err
		}
		patch(after, change)
	}
	for _, pair := range o.Set {
		if err := assign(after, pair); err != nil {
			return nil, err
		}
	}
	for _, pair := range o.Pg {
		if err := assign(after, "postgresql.parameters."+strings.TrimSpace(pair)); err != nil {
			return nil, err
		}
	}
	return after, nil
}

func (s *Session) readDocument(file string) (map[string]any, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(s.In)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	doc, err := config.ParseDocument(file, text)
	if err != nil {
		return nil, err
	}
	return decodeDocument(doc)
}

// inEditor gives the document to a person.
func (s *Session) inEditor(ctx context.Context, before map[string]any) (map[string]any, error) {
	editor, err := findEditor()
	if err != nil {
		return nil, err
	}
	text, err := documentYAML(before)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", s.Scope+"-config-*.yaml")
	if err != nil {
		return nil, fmt.Errorf("edit configuration: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(text + "\n")
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("edit configuration: %w", err)
	}
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], file.Name())...) // the person's own editor
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	if err := cmd.Run(); err != nil {
		return nil, fail("Editor %s exited with: %v", editor[0], err)
	}
	return s.readDocument(file.Name())
}

func findEditor() ([]string, error) {
	if words := strings.Fields(os.Getenv("EDITOR")); len(words) > 0 {
		return words, nil
	}
	for _, name := range []string{"editor", "vi"} {
		if path, err := exec.LookPath(name); err == nil {
			return []string{path}, nil
		}
	}
	return nil, fail("EDITOR environment variable is not set. editor or vi are not available")
}

// showDiff prints the diff, in colours on a terminal.
func (s *Session) showDiff(lines []string) {
	colours := map[byte]string{'-': "\x1b[31m", '+': "\x1b[32m", '@': "\x1b[36m"}
	tty := isTerminal(s.Out)
	for _, l := range lines {
		if c := colours[l[0]]; tty && c != "" {
			l = c + l + "\x1b[0m"
		}
		s.print(l)
	}
	s.print("")
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// checkNew refuses what no member would accept, unless it was there before, and warns of what has no effect.
func (s *Session) checkNew(before, after []byte) error {
	_, oldErrs := config.CheckDynamic(before)
	known := map[string]bool{}
	for _, err := range oldErrs {
		known[err.Error()] = true
	}
	warnings, errs := config.CheckDynamic(after)
	var fresh []string
	for _, err := range errs {
		if !known[err.Error()] {
			fresh = append(fresh, err.Error())
		}
	}
	for _, w := range warnings {
		s.warnf("Warning: %s", w)
	}
	if len(fresh) > 0 {
		return fail("The configuration is not changed, because members would refuse it:\n%s", strings.Join(fresh, "\n"))
	}
	return nil
}
