package scenario

import "errors"

var putCommand = Command{
	Name: "put", Forms: []string{`put key <name> <value>|"<value>"|{<JSON>}`}, Does: "writes a key of the cluster with a tool of the store",
	parse: parsePut,
}

func parsePut(w *words) (action, error) {
	if !w.is("key") {
		return nil, unknown(w.peek(), "key")
	}
	name := w.take()
	if name == "" || w.atEnd() {
		return nil, errors.New("which key, and what does it say?")
	}
	value := w.take()
	return func(r *run) error { return r.stage.PutKey(name, value) }, nil
}
