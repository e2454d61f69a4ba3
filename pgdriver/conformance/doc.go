// Package conformance plays the scripts by which the model of PostgreSQL is judged (simulations/postgres/conform) on real servers, each
// moved by a driver, and compares what they tell with what was recorded of PostgreSQL 15. It has only tests:
//
//	go test ./pgdriver/conformance
//	go test ./pgdriver/conformance -record /tmp/postgresql15.txt
//
// The second writes what came, to be read as a diff of that file: a fact that has changed is a change of the driver or of PostgreSQL. The
// scripts wait most of the time, so they play side by side, on copies of one set of data directories.
package conformance
