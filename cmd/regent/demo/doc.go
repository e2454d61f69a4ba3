// Package demo shows a real cluster on one machine: three members with the embedded store, a client that writes all
// the time, a view of what the members do and why, and keys that hurt them.
//
// The parts, from the terminal inwards:
//
//   - keeper.go: the process that the shell started. It starts the demo as its child and, however that ends, gives the
//     terminal back as it was and has leftovers cleaned. So a panic or a kill of the demo never costs a terminal.
//   - interactive.go: the loop of the child: keys and socket in, pictures out. plain.go is the same without a terminal.
//   - picture.go and sample.go: what is shown, as one value, and how it is collected, from the members' REST APIs and
//     from the processes. view.go turns it into lines: no clock, no terminal, tested against golden text.
//   - orders.go: what can be done to the cluster, by key or from a second terminal; socket.go carries the latter.
//   - script.go, steps.go: the fixed tour, measured by the client's own record; judge.go says what a step must keep.
//   - home.go, leftovers.go, shm.go: the demo's directory, and the proof that nothing of it stays behind.
//
// One demo runs per directory. The directory is locked by the kernel, so a lock never outlives its demo. What
// an earlier demo left is known by its state file and by programs that were started from that very directory; nothing
// else on the machine is touched.
//
// The cluster itself is the package simulations/live, as in the integration tests.
package demo
