// Package backendtest is the contract of package backends as a test suite. Every adapter runs it
// against the real server of its kind, and every model of a store runs it too:
//
//	backendtest.Run(t, backendtest.Harness{
//		Open:     func(t testing.TB, scope, member string) backends.Store { … },
//		TTL:      2 * time.Second,
//		Lateness: time.Second,
//		Faults:   backendtest.Faults{FreezeAll: …, KillLeader: …},
//	})
//
// The cases are named after the numbers of the contract (C1 … C12). Cases without faults run in
// parallel, each in a scope of its own; cases with faults run one after another on the same
// servers and leave them healed. A fault that the harness does not have is said in the test's log,
// with the cases that did not run for lack of it.
//
// Every wait has a deadline, and nothing is proved by sleeping: a case polls for its condition and
// fails when the deadline passes. The suite uses t.Fatal only from the goroutine of the case; what
// it starts, it joins.
package backendtest
