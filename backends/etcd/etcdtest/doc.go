// Package etcdtest runs real etcd servers as processes, for tests: Debian's etcd, or any command
// that serves as one. Members can be killed, frozen and restarted, and an ensemble knows which of them
// leads.
//
// Servers listen on free loopback ports and keep their data in the test's own directory. They are
// ended with the test. A missing binary fails the test: these tests prove nothing without a server.
//
// Faults returns the hooks that backendtest wants, for one server or several.
package etcdtest
