// Package fence holds the guard: a tiny companion process that kills every process of the local
// PostgreSQL when the agent's lease ends and the agent, being frozen, killed or wedged, has not moved the
// deadline. It is the second of three layers: the engine demotes in time, the guard kills if the engine does not, and a
// watchdog device resets the machine if neither can.
//
// Agent and guard share one page of memory: a small file, named after the data directory, that both map. One
// word of it decides: 0 is disarmed, D > 0 means that PostgreSQL dies at instant D (CLOCK_BOOTTIME), -D means that
// the guard has fired. Both sides change it by compare-and-swap only. So renewing a deadline costs a
// store, no system call, and a renewal and a firing exclude each other: exactly one of them happens.
//
// The guard is the same binary as the agent (RunGuard), started in a session of its own. After warm-up its loop
// and its kill path allocate nothing, take no lock, start no thread, and look at nothing but /proc: never
// at the data directory, whose disk may be what has stalled. It knows PostgreSQL's processes by their working
// directory, which is the data directory (device and inode, read without asking a file server), and by the name of
// their program; where that directory may not be read, by kinship with the postmaster. Shortly before the deadline
// it opens the /proc directory of each, so that at the deadline one system call per process is left to do.
//
// What it promises, and what it does not:
//
//	G1  A guard that gets the processor fires at the deadline, never before, and sends SIGKILL to every
//	    process of that PostgreSQL, the postmaster first, until none is left, for ever. Zombies count as gone. A
//	    process in an uninterruptible wait dies when the wait ends; it cannot answer a client before that.
//	G2  Processes of other PostgreSQLs, and tools that merely stand in the data directory, are never touched.
//	    Signals go through descriptors of /proc directories, which a reused pid cannot inherit.
//	G3  After it has fired the guard keeps killing whatever PostgreSQL is started in that directory, until an agent
//	    calls AcknowledgeFired. Arm and Disarm say ErrFired until then: an agent that thaws cannot
//	    miss it, and State says it from the page itself.
//	G4  Arm from rest returns nil only after a living guard has acknowledged it; otherwise the guard stays
//	    disarmed. An earlier deadline holds too: a lease may become shorter. Arm refuses a deadline that has passed.
//	G5  Disarm returning nil means that the guard has not fired and will not. It needs no living guard.
//	G6  The guard outlives its agent: the death of the agent's process group, SIGHUP, SIGINT and the like do not end
//	    it; SIGTERM neither while it is armed. The next agent adopts it with its deadline, and PostgreSQL is
//	    untouched if that agent moves it in time. A disarmed guard leaves with its agent (Run's ctx), or when no
//	    agent has come for 10 s. One that has fired, without any living agent, leaves on SIGTERM.
//	G7  A guard that dies is noticed at once (pidfd) and replaced; the new one takes the deadline from the page. If agent
//	    and guard both die, nothing fences until one is back. Service managers do that: systemd's default
//	    KillMode=control-group kills both (and PostgreSQL, which is well); KillMode=process leaves PostgreSQL and the
//	    guard running and is the one to use. KillMode=mixed ends with SIGKILL for the guard and PostgreSQL alike.
//	    The third layer, the watchdog, is for the case that both die and PostgreSQL does not.
//	G8  A guard without heartbeat for 1 s is reported as not alive, after 3 s it is killed and replaced. Time in which the
//	    agent itself did not run does not count against it.
//	G9  Two agents cannot have one data directory: the page is locked, the second New says ErrHeld and names the
//	    first. This holds within one RuntimeDir; all agents of a host must use the same one.
//	G10 A page whose file was removed is made again, with a new guard, while the old guard keeps watch. If the
//	    agent dies before it has noticed (1 s), the next agent cannot find the old guard, which will then fire at
//	    its deadline: too much is killed, never too little. Truncating the file kills both sides (SIGBUS), as any
//	    process of the same user can kill them.
//	G11 Suspend counts: CLOCK_BOOTTIME goes on, and the guard wakes with the machine and fires at once if the
//	    deadline has passed. A virtual machine that its hypervisor pauses sees no time pass; no layer inside
//	    it can help, the hypervisor's own watchdog may.
//	G12 A page of another boot is forgotten. A pid is believed only with its start time and through a pidfd; that a
//	    guard lives is told by a lock that the kernel drops at its death.
//	G13 Agent, guard and PostgreSQL must share a pid namespace: in separate containers the guard sees nothing to kill. It
//	    checks that while armed, and State says so. A guard left in another pid namespace is not adopted.
//	G14 The guard must be permitted to signal PostgreSQL: the same user, or CAP_KILL. It checks that while armed; if
//	    not, State says so and Strength is "engine only".
//	G15 Locked memory, real-time priority and sparing by the out-of-memory killer are used where permitted, never
//	    required. Useful limits for the service: LimitMEMLOCK=infinity, LimitNICE=-20, LimitRTPRIO=1, OOMScoreAdjust=-900.
package fence
