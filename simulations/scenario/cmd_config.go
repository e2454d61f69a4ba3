package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var configCommand = Command{
	Name: "config", Forms: []string{"config <setting>=<value> …", "config {<JSON>}"},
	Does:  "changes the dynamic configuration, as PATCH /config does: null removes a setting",
	parse: parseConfig,
}

func parseConfig(w *words) (action, error) {
	patch := map[string]any{}
	if strings.HasPrefix(w.peek(), "{") {
		if err := json.Unmarshal([]byte(w.take()), &patch); err != nil {
			return nil, err
		}
	}
	for _, word := range w.rest() {
		key, text, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q has no =", word)
		}
		if err := put(patch, key, value(text)); err != nil {
			return nil, err
		}
	}
	if len(patch) == 0 {
		return nil, errors.New("no setting")
	}
	return patchConfig(patch)
}

func patchConfig(patch map[string]any) (action, error) {
	doc, err := json.Marshal(patch)
	return func(r *run) error {
		answer, err := r.stage.PatchConfig(doc)
		r.answered("config", answer)
		return err
	}, err
}

// answered tells what a door said at once, if it said anything.
func (r *run) answered(key, answer string) {
	if answer != "" {
		r.report.tell(key, mask(answer))
	}
}
