// Package pgdriver is PostgreSQL as the engine sees it: what it does is observed and told as facts,
// and what the engine decides is done to it, through pgx and PostgreSQL's own programs.
//
// A Driver belongs to one data directory. Run watches it: the files on a goroutine of its own, the
// server by one monitoring query on another, every postmaster by its pidfd. None can hold up the
// others: a disk or a server that does not answer becomes an observation that says so. Run finds
// and adopts a server that runs already, whoever started it.
//
// The effect methods (Start, Stop, Promote, ...) block until done or until their context ends.
// Each first checks whether its work is done already, so that an effect may be repeated after
// the agent was restarted. At most one that changes the data directory runs at a time.
//
// The paths that matter most when memory is short or time is: Promote, Stop, Follow and ApplyConfig
// start no program and open no first connection. They use signals, files and the connections that
// Run holds open. Only what cannot be had otherwise runs a program: initdb, pg_basebackup,
// pg_rewind, single-user postgres, and the server itself, which outlives the agent.
//
// A server counts as stopped only when its last process is gone: a backend that lost its
// postmaster can still acknowledge a commit. A zombie counts as dead, for the first process of
// a container may take its time to reap.
//
// Nothing is removed that was ever a copy of the data: a failed bootstrap is moved aside, and a
// directory replaced by a clone is kept until the clone is complete. Passwords travel in memory
// and in files of mode 0600, never on command lines, in logs or in errors.
package pgdriver
