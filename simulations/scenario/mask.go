package scenario

import (
	"regexp"
	"strings"
)

// masks replace what cannot be the same on two stores, or in two runs. The first that matches a place has it.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(the DCS does not answer|waiting for the DCS) \(.*?\)(: | and |$)`), "$1 (<dcs>)$2"},
	{regexp.MustCompile(`(could not be renewed: |could not be secured in time: |the DCS does not answer: |waiting for the DCS: ).*`), "$1<dcs>"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)`), "<time>"},
	{regexp.MustCompile(`\b\d{18,19}\b`), "<system id>"},
	{regexp.MustCompile(`\b[0-9A-F]{1,8}/[0-9A-F]{1,8}\b`), "<lsn>"},
	{regexp.MustCompile(`\bepoch \d+`), "epoch <n>"},
	{regexp.MustCompile(`\brevision \d+`), "revision <n>"},
	{regexp.MustCompile(`\b\d+ bytes`), "<n> bytes"},
	{regexp.MustCompile(`\bpid \d+`), "pid <n>"},
	{regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+(:\d+)?\b`), "<address>"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ns|µs|ms|s|m|h)\b`), "<t>"},
}

// silent are members that are asked and do not answer. Whether they are asked at all depends on how long a store keeps the record of a dead member, and
// the answer on how a connection fails.
var silent = regexp.MustCompile(`(taking the lease \([^)]*?)n\d+ (no answer yet|unreachable)(, )?`)

// mask replaces what would differ each time.
func mask(text string) string {
	for silent.MatchString(text) {
		text = silent.ReplaceAllString(text, "$1")
	}
	text = strings.ReplaceAll(strings.Replace(text, "taking the lease ()", "taking the lease (nobody answers)", 1), ", )", ")")
	for i := range masks {
		text = masks[i].what.ReplaceAllString(text, masks[i].with)
	}
	return strings.TrimSpace(strings.ReplaceAll(text, "\n", " "))
}
