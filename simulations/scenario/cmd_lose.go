package scenario

import (
	"fmt"
	"strings"
)

var loseCommand = Command{
	Name: "lose", Forms: []string{"lose <n>% of packets of <members> from the store|<members>|the others"},
	Does:  "so many packets of a hundred have to be sent again, each way, until join",
	parse: parseLose,
}

func parseLose(w *words) (action, error) {
	text := w.take()
	percent, err := number(strings.TrimSuffix(text, "%"), 1, 90)
	if err != nil {
		return nil, fmt.Errorf("which part of the packets: %w", err)
	}
	if !w.is("packets") {
		return nil, unknown(w.peek(), "packets")
	}
	spoil, err := w.spoiledWay()
	if err != nil {
		return nil, err
	}
	return spoil(0, percent), nil
}
