package bench

import (
	"fmt"
	"io"
	"strings"
)

// print writes the report as Markdown.
func (r *Report) print(out io.Writer) error {
	var t strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&t, format+"\n", args...) }
	m := r.Machine
	line("Measured %s: %d processors, Linux %s, PostgreSQL %s, load %s before and %s after. One INSERT per %v; a figure is the",
		r.Began.UTC().Format("2006-01-02 15:04 UTC"), m.CPUs, m.Kernel, m.PostgreSQL, m.LoadBefore, m.LoadAfter, writePeriod)
	line("longest time between two acknowledged writes, in ms. Marks are judged by the median.")
	line("")
	line("| store | scenario | median | min | max | n | × limit | lost / acknowledged | mark | |")
	line("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")
	for _, row := range r.Rows {
		line("%s", row.text())
	}
	if len(r.Footprints) > 0 {
		line("")
		line("Idle, memory in MB (10^6 bytes):")
		line("")
		line("| store | process | PSS | RSS | CPU s/min | mark | |")
		line("| --- | --- | ---: | ---: | ---: | --- | --- |")
	}
	for _, f := range r.Footprints {
		line("%s", f.text())
	}
	for _, row := range r.Rows {
		for _, failure := range row.Failures {
			line("")
			line("DID NOT WORK: %s, %s: %s", storeName(row.Store), row.Scenario, failure)
		}
	}
	_, err := io.WriteString(out, t.String())
	return err
}

func (r *Row) text() string {
	figures := "– | – | –"
	if len(r.Samples) > 0 {
		figures = fmt.Sprintf("%.0f | %.0f | %.0f", r.Median, r.Min, r.Max)
	}
	ratio, lost, verdict := "", "", ""
	if r.Ratio > 0 {
		ratio = fmt.Sprintf("%.2f", r.Ratio)
	}
	if r.limit != nil || r.promises || r.mark != (mark{}) {
		lost = fmt.Sprintf("%d / %d", r.Lost, r.Acknowledged)
	}
	switch {
	case len(r.Failures) > 0:
		verdict = "**failed**"
	case r.Mark != "":
		verdict = word(r.Met)
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s | %s |", storeName(r.Store), r.Scenario, figures, len(r.Samples), ratio, lost, r.Mark, verdict)
}

func (f *Footprint) text() string {
	role := "replica"
	if f.Leads {
		role = "leader"
	}
	mark, verdict := "", ""
	if f.mostMegabytes > 0 {
		mark, verdict = fmt.Sprintf("≤ %g MB PSS", f.mostMegabytes), word(f.PSSMegabytes <= f.mostMegabytes)
	}
	return fmt.Sprintf("| %s | %s of %s (%s) | %.1f | %.1f | %.2f | %s | %s |", storeName(f.Store), f.Process, f.Member, role, f.PSSMegabytes,
		f.RSSMegabytes, f.CPUPerMinute, mark, verdict)
}

func word(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}
