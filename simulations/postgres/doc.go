// Package postgres is a model of PostgreSQL servers that replicate to each other, as a member's driver (package
// pgdriver) sees and moves them, and as clients and judges see them.
//
// A Cluster holds the Servers of one world; each has a data directory, WAL and, while it runs, processes. The world
// gives a Host: time and choices, reachability, and where the ends of postmasters are told. It calls Changed when
// reachability has changed. Perform does what the driver does for an effect, Observe is what the driver's probe
// would tell, Write is a client's commit. Everything else that can happen to a server is a method of its own:
// Kill, CrashHost, Hang, SetDisk, FillConnections, ….
//
// Nothing polls: positions of a replica are computed when somebody looks or when something changes. A
// stream is a function of time: what the upstream had flushed a lag ago, but not more than the rate of catching up
// allows.
//
// WAL is a tree of branches, shared by all servers; a server holds a point in it. Whoever writes at a point that
// is not the end of a branch of its own begins a new one, with the same timeline if nobody promoted it. So the truth
// about divergence is the tree, while effects decide from what PostgreSQL knows: timelines, positions, history files.
//
// A commit is four things: inserted, flushed here (Has), released by the rule of synchronous_standby_names (Visible),
// and acknowledged (the client's callback). What was not flushed is lost with the host, not with PostgreSQL. A cancelled wait
// makes the commit visible and acknowledged to nobody.
//
// The model is checked against PostgreSQL 15 by package conform. It differs where it says so: a stream whose
// upstream has other contents under the same timeline is refused at once, where PostgreSQL may begin it and
// stumble over the first record that does not fit.
package postgres
