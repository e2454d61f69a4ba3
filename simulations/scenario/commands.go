package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// Command is a row of the table of commands.
type Command struct {
	Name string
	// Forms are how it is written.
	Forms []string
	// Does says what happens.
	Does string

	parse func(w *words) (action, error)
}

// Commands are all commands, sorted by name.
func Commands() []Command {
	return []Command{
		clientsCommand, clockCommand, clusterCommand, configCommand, crashCommand, cutCommand, diskCommand, effectsCommand, emptyCommand,
		expectCommand, failoverCommand, freezeCommand, guardCommand, hangCommand, joinCommand, killCommand, loseCommand, nameCommand, pauseCommand,
		pgctlCommand, promoteCommand, putCommand, reinitCommand, removeCommand, replaceCommand, restartCommand, resumeCommand, slowCommand,
		spoilCommand, startCommand, stopCommand, storeCommand, suspendCommand, switchoverCommand, thawCommand, untilCommand, waitCommand,
		wakeCommand, wedgeCommand, writesCommand,
	}
}

func commandNames() []string {
	var out []string
	for _, c := range Commands() {
		out = append(out, c.Name)
	}
	return out
}

// parseCommand understands a line.
func parseCommand(line string) (do action, said []string, err error) {
	w, err := split(line)
	if err != nil {
		return nil, nil, err
	}
	name := w.take()
	all := Commands()
	i := slices.IndexFunc(all, func(c Command) bool { return c.Name == name })
	if i < 0 {
		return nil, nil, fmt.Errorf("no command %q: there are %s", name, strings.Join(commandNames(), ", "))
	}
	do, err = all[i].parse(w)
	if err == nil && !w.atEnd() {
		err = fmt.Errorf("%q is too much", strings.Join(w.rest(), " "))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w; want %s", name, err, strings.Join(all[i].Forms, ", or "))
	}
	return do, w.all, nil
}

// unknown is the error of a word that a command does not know.
func unknown(word string, possible ...string) error {
	if word == "" {
		return fmt.Errorf("a word is missing: one of %s", strings.Join(possible, ", "))
	}
	return fmt.Errorf("%q is none of %s", word, strings.Join(possible, ", "))
}
