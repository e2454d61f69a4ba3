package scenario

import "errors"

var removeCommand = Command{
	Name: "remove", Forms: []string{"remove key <name>"}, Does: "deletes a key of the cluster with a tool of the store",
	parse: parseRemove,
}

func parseRemove(w *words) (action, error) {
	if !w.is("key") {
		return nil, unknown(w.peek(), "key")
	}
	if w.atEnd() {
		return nil, errors.New("which key?")
	}
	name := w.take()
	return func(r *run) error { return r.stage.RemoveKey(name) }, nil
}
