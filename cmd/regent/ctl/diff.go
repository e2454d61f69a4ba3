package ctl

import (
	"fmt"
	"strings"
)

const diffContext = 3

// edit is a line of a diff: kept (' '), removed ('-') or added ('+').
type edit struct {
	sign byte
	text string
}

// unifiedDiff compares two texts line by line, as diff -u prints it; empty if they are equal.
func unifiedDiff(before, after string) []string {
	edits := edits(strings.Split(before, "\n"), strings.Split(after, "\n"))
	var changed []int
	for i, e := range edits {
		if e.sign != ' ' {
			changed = append(changed, i)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	out := []string{"--- ", "+++ "}
	for i := 0; i < len(changed); {
		j := i
		for j+1 < len(changed) && changed[j+1]-changed[j] <= 2*diffContext {
			j++
		}
		out = append(out, hunk(edits, max(changed[i]-diffContext, 0), min(changed[j]+diffContext+1, len(edits)))...)
		i = j + 1
	}
	return out
}

func hunk(edits []edit, from, to int) []string {
	oldLine, newLine := 1, 1
	for _, e := range edits[:from] {
		if e.sign != '+' {
			oldLine++
		}
		if e.sign != '-' {
			newLine++
		}
	}
	oldCount, newCount := 0, 0
	lines := make([]string, 0, to-from+1)
	for _, e := range edits[from:to] {
		if e.sign != '+' {
			oldCount++
		}
		if e.sign != '-' {
			newCount++
		}
		lines = append(lines, string(e.sign)+e.text)
	}
	return append([]string{fmt.Sprintf("@@ -%s +%s @@", diffRange(oldLine, oldCount), diffRange(newLine, newCount))}, lines...)
}

func diffRange(line, count int) string {
	switch count {
	case 0:
		return fmt.Sprintf("%d,0", line-1)
	case 1:
		return fmt.Sprint(line)
	}
	return fmt.Sprintf("%d,%d", line, count)
}

// edits finds the longest common lines; a configuration is small enough for the quadratic table.
func edits(a, b []string) []edit {
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}
