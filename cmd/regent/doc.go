// Command regent keeps a PostgreSQL cluster writable and its data safe: the agent, and the operator's
// verbs that are used beside it. Each verb has a file of its own; what the operator's verbs do is in the
// package ctl.
package main
