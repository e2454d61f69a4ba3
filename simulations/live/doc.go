// Package live starts a real cluster on this machine, hurts it, and judges what its clients saw: agents, guards,
// PostgreSQL servers and the store are processes, each agent in a session of its own. The demo, the integration
// tests and the failover benchmark are written with it. It needs PostgreSQL's programs, a regent binary, and for the
// stores etcd and nats their servers.
//
//	c, err := live.Start(ctx, live.Options{Binary: "bin/regent", Store: live.Embedded, Log: os.Stderr})
//	defer c.Close()
//	err = c.WaitHealthy(ctx)                            // one leader accepts writes, all others stream from it
//	w, err := live.StartWriter(ctx, c, 10*time.Millisecond)
//	leader, err := c.Leader(ctx)
//	hit := time.Now()
//	err = leader.KillAll(ctx)                           // its host dies
//	_, err = c.WaitLeader(ctx, func(name string) bool { return name != leader.Name })
//	err = w.Resumed(ctx, hit)
//	fmt.Println(w.Gap(hit))                             // the longest time without an acknowledged write
//	missing, err := w.Missing(ctx)                      // acknowledged writes that the leader does not have
//	err = leader.StartAgent()                           // the host is back
//	err = c.ReplayLogs(ctx)                             // every decision follows from what was recorded
//
// What a cluster started, Close ends: it looks for processes by data directory and by program, not by what it
// remembers. If the caller dies without Close (a panic, an interrupt, a kill), a janitor process that waits for this does the
// same and removes the directory, unless KeepOnFail is set.
//
// The calling process becomes a subreaper, for good: servers and guards outlive their agents by design, and
// where the machine's first process is slow to reap orphans, dead ones would look alive to everybody who asks by pid.
// Orphans are told from the caller's own children by their session, which is never the caller's.
//
// Root runs everything as another user, postgres by default, because PostgreSQL refuses root.
//
// With Namespaces, members and servers of the store are hosts of their own, network namespaces on a bridge, and can be cut off from
// each other, both ways or one. Stage plays the scenarios of package scenario on such a cluster and judges them.
//
// Limits: all members share one kernel, so a killed host closes its connections, as a crashed kernel would
// not; a client that waits for an answer learns of the death at once. (A stage takes the cable out first.) The embedded store lives in the agents and cannot be
// stopped, started or frozen without them: StopStore and its kin refuse.
package live
