package main

import (
	"strings"
	"testing"
)

func full() *matrix {
	m := &matrix{}
	for _, c := range []string{"etcd-1", "etcd-3", "nats-1", "nats-3", "consul-1", "consul-3", "zookeeper-1", "zookeeper-3", "kubernetes-1", "kubernetes-3",
		"etcd-1@3.4.23", "etcd-3@3.4.23", "etcd-embedded-3@3.7.3", "nats-1@2.15.2", "nats-3@2.15.2"} {
		m.read("    run.go:1: conform: " + c + " C8_conditional_put ok seed=0\n")
		m.read("    run.go:1: conform: " + c + " C10_dead_servers without KillAll\n")
		if strings.Contains(c, "@") {
			m.read("    run.go:1: conform: " + c + " differential ok\n")
		}
	}
	m.read("conform: etcd-3@3.4.23 differential_with_faults ok\n")
	return m
}

func TestMatrix(t *testing.T) {
	m := full()
	if missing := m.empty(); len(missing) > 0 {
		t.Errorf("a full matrix has empty cells: %v", missing)
	}
	text := m.String()
	for _, want := range []string{"\nC8_conditional_put   ", "\nC10_dead_servers   ", "   -", "\ndifferential ", "zookeeper on real servers: no adapter yet\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Index(text, "C8_") > strings.Index(text, "C10_") {
		t.Error("C10 stands before C8")
	}
	m.read("conform: etcd-1 C8_conditional_put failed seed=1\n")
	m.read("conform: etcd-1 C8_conditional_put ok seed=2\n")
	if got := m.cells["C8_conditional_put"]["etcd-1"]; got != "FAILED" {
		t.Errorf("one of several seeds failed, and the cell says %q", got)
	}
}

func TestEmptyCells(t *testing.T) {
	for _, c := range []struct{ row, column, want string }{
		{"C8_conditional_put", "nats-3@2.15.2", "C8_conditional_put on nats-3@2.15.2"},
		{"C8_conditional_put", "consul-1", "C8_conditional_put on consul-1"},
		{"differential", "etcd-1@3.4.23", "differential on etcd-1@3.4.23"},
	} {
		m := full()
		delete(m.cells[c.row], c.column)
		if got := m.empty(); len(got) != 1 || got[0] != c.want {
			t.Errorf("without %s on %s: %v", c.row, c.column, got)
		}
	}
	if got := (&matrix{}).empty(); len(got) != len(models)+len(reals)+2 {
		t.Errorf("nothing ran, and %d things are missing: %v", len(got), got)
	}
	if text := (&matrix{}).String(); text != "" {
		t.Errorf("a matrix of nothing: %q", text)
	}
}

func TestProvenance(t *testing.T) {
	text := provenance("../../../simulations/stores")
	for _, store := range []string{"etcd", "nats", "consul", "zookeeper", "kubernetes"} {
		if !strings.Contains(text, "\n  "+store+" ") {
			t.Errorf("%s is not in\n%s", store, text)
		}
	}
	t.Log(text)
}
