package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Comments of the models say where a branch comes from: "seen on 3.4.23", or "source:" and a file of the store's.
var (
	seenOn = regexp.MustCompile(`(?i)seen (?:on|with) (?:[a-z-]+ )?(\d+\.\d+\.\d+)`)
	source = regexp.MustCompile(`(?i)\bsource: ([\w/.-]+)`)
)

// provenance counts for each model which branches are marked as seen on a real server, by version, and which as read in its source.
func provenance(dir string) string {
	models, err := filepath.Glob(filepath.Join(dir, "*", "model.go"))
	if err != nil || len(models) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("Branches of the models, by the marks in their comments:\n")
	for _, m := range models {
		seen, versions, read := 0, map[string]int{}, 0
		files, err := filepath.Glob(filepath.Join(filepath.Dir(m), "*.go"))
		if err != nil {
			return err.Error() + "\n"
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				return err.Error() + "\n"
			}
			flat := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "//", " ")), " ") // a mark may span lines
			for _, found := range seenOn.FindAllStringSubmatch(flat, -1) {
				seen++
				versions[found[1]]++
			}
			read += len(source.FindAllString(flat, -1))
		}
		var by []string
		for v, n := range versions {
			by = append(by, fmt.Sprintf("%d on %s", n, v))
		}
		slices.Sort(by)
		fmt.Fprintf(&b, "  %-12s %3d seen on a real server (%s), %d read in source\n", filepath.Base(filepath.Dir(m)), seen, strings.Join(by, ", "), read)
	}
	return b.String()
}
