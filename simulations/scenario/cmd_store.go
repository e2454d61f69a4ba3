package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var storeCommand = Command{
	Name:  "store",
	Forms: []string{"store down|up|wiped|healed", "store kill|start|freeze|thaw|split <number>|its leader", `store trouble "<name>"`},
	Does: "all servers of the store end at once or start again; the store is emptied; or something happens to one of its servers, numbered from 1. " +
		"A server that is split off reaches none of the others, until the store is healed. Troubles are what only one kind of store has",
	parse: parseStore,
}

func parseStore(w *words) (action, error) {
	switch what := w.take(); what {
	case "down":
		return func(r *run) error { return r.eachServer(r.stage.KillStoreServer) }, nil
	case "up":
		return func(r *run) error { return r.eachServer(r.stage.StartStoreServer) }, nil
	case "wiped":
		return func(r *run) error { return r.stage.WipeStore() }, nil
	case "healed":
		return func(r *run) error { return r.stage.HealStore() }, nil
	case "trouble":
		name := w.take()
		return func(r *run) error { return r.trouble(name) }, nil
	case "kill", "start", "freeze", "thaw", "split":
		return parseStoreServer(what, w)
	default:
		return nil, unknown(what, "down", "up", "wiped", "healed", "trouble", "kill", "start", "freeze", "thaw", "split")
	}
}

// parseStoreServer takes the number of a server, or its description.
func parseStoreServer(what string, w *words) (action, error) {
	w.is("server")
	fixed := 0
	if !w.is("leader") {
		var err error
		if fixed, err = number(w.take(), 1, 7); err != nil {
			return nil, fmt.Errorf("which server: %w, or its leader", err)
		}
	}
	return func(r *run) error {
		n := fixed
		if n == 0 {
			var err error
			if n, err = r.stage.StoreLeader(); err != nil {
				return err
			}
			if n == 0 {
				return errors.New("the store has no leader now")
			}
		}
		if all := r.stage.StoreServers(); n > all {
			return fmt.Errorf("the store has %d servers", all)
		}
		switch what {
		case "kill":
			return r.stage.KillStoreServer(n)
		case "start":
			return r.stage.StartStoreServer(n)
		case "freeze":
			return r.stage.FreezeStoreServer(n)
		case "thaw":
			return r.stage.ThawStoreServer(n)
		}
		return r.stage.SplitStore(n)
	}, nil
}

func (r *run) eachServer(do func(int) error) error {
	for n := range r.stage.StoreServers() {
		if err := do(n + 1); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) trouble(name string) error {
	if all := r.stage.StoreTroubles(); !slices.Contains(all, name) {
		return fmt.Errorf("this store does not know the trouble %q, but: %s", name, strings.Join(all, "; "))
	}
	return r.stage.TroubleStore(name)
}
