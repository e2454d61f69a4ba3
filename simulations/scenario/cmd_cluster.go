package scenario

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/regent-ha/regent/events"
)

var clusterCommand = Command{
	Name:  "cluster",
	Forms: []string{"cluster members=<n> [servers=<n>] [guard=<policy>] [start=none] [<setting>=<value> …] [<member>.<tag>=<value> …]"},
	Does: "builds hosts and store, starts n1, and the others when it leads, and waits until all is well; with start=none, no agent starts. " +
		"Settings are the dynamic configuration, with dots for what is nested",
	parse: parseCluster,
}

// bootPatience is how long a new cluster may take until all is well.
const bootPatience = 3 * time.Minute

func parseCluster(w *words) (action, error) {
	c := Cluster{Members: 3, Guard: "required", StoreServers: 3}
	settings := map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10, "postgresql": map[string]any{"use_pg_rewind": true}}
	tags := map[string]map[string]any{}
	start := true
	for _, word := range w.rest() {
		key, text, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q has no =", word)
		}
		var err error
		member, tag, dotted := strings.Cut(key, ".")
		switch {
		case key == "members":
			c.Members, err = number(text, 1, 9)
		case key == "servers":
			c.StoreServers, err = number(text, 1, 7)
		case key == "guard":
			if c.Guard = text; text != "required" && text != "preferred" && text != "off" {
				err = unknown(text, "required", "preferred", "off")
			}
		case key == "start":
			if start = false; text != "none" {
				err = unknown(text, "none")
			}
		case dotted && memberName.MatchString(member):
			if tags[member] == nil {
				tags[member] = map[string]any{}
			}
			tags[member][tag] = value(text)
		default:
			err = put(settings, key, value(text))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	var err error
	if c.Config, err = json.Marshal(settings); err != nil {
		return nil, err
	}
	if c.Tags, err = readTags(tags); err != nil {
		return nil, err
	}
	return func(r *run) error { return r.cluster(c, start) }, nil
}

func readTags(by map[string]map[string]any) (map[string]events.Tags, error) {
	out := map[string]events.Tags{}
	for member, all := range by {
		b, err := json.Marshal(all)
		if err != nil {
			return nil, err
		}
		var t events.Tags
		if err := json.Unmarshal(b, &t); err != nil {
			return nil, err
		}
		out[member] = t
	}
	return out, nil
}

// cluster is built, and brought up with n1 as its leader. How that goes is told in few words: it is the same in most scenarios.
func (r *run) cluster(c Cluster, start bool) error {
	for m := range c.Tags {
		if n, err := strconv.Atoi(m[1:]); err != nil || n > c.Members {
			return fmt.Errorf("tags of %s, and there are %d members", m, c.Members)
		}
	}
	if err := r.build(c); err != nil || !start {
		return err
	}
	r.report.short = true
	if err := r.stage.StartAgent("n1"); err != nil {
		return err
	}
	first, err := leaderIs("n1")
	if err != nil {
		return err
	}
	if err := r.await(first, bootPatience); err != nil {
		return err
	}
	for _, m := range r.members[1:] {
		if err := r.stage.StartAgent(m); err != nil {
			return err
		}
	}
	return r.await(condition{isHealthy}, bootPatience)
}

func number(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q: want a number from %d to %d", text, least, most)
	}
	return n, nil
}

// value is what a text means in JSON, or the text.
func value(text string) any {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	return v
}

// put sets a setting; dots in its name go into nested objects.
func put(settings map[string]any, key string, v any) error {
	for {
		outer, inner, nested := strings.Cut(key, ".")
		if !nested {
			settings[key] = v
			return nil
		}
		next, ok := settings[outer].(map[string]any)
		if !ok {
			if settings[outer] != nil {
				return fmt.Errorf("%s is no object", outer)
			}
			next = map[string]any{}
			settings[outer] = next
		}
		settings, key = next, inner
	}
}
