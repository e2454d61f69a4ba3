// Package scenario reads and plays scenarios: text files that read like an incident report and hold, as
// golden output, what every member decided.
//
//	# The primary loses the store but keeps its clients.
//	# Retells: patroni#251.
//	# Faults: N1 N6.
//
//	cluster members=3 ttl=30 loop_wait=10 retry_timeout=10
//	----
//	n1: starting → waiting (ST-50) → bootstrapping (WA-30) → opening (BS-30) → leading (ON-10)
//	n2: starting → waiting (ST-50) → cloning (WA-20) → joining (CL-20) → following (JO-10)
//
//	cut n1 from the store
//	until leader another within 40s
//	----
//	n1: leading
//	  → demoting (LD-15) the lease ends in <t> and could not be renewed: <dcs>
//	[consul]
//	n1: leading
//	  → fenced (LD-02) the guard has killed PostgreSQL
//
// A block is one or more commands, a line of four dashes, and what came of them, up to an empty line. The
// output has an entry for each member whose lifecycle moved: the state at the beginning, then each step
// (→ to the state, the rule and its reason), what was done or refused in between, and answers to operators. Grouping by member makes the text
// independent of the interleaving of members; numbers that differ from run to run are masked (mask.go). Entries
// of other things follow, as "writes". Where stores differ, the plain output is what most of them share; a
// section such as [consul] has the entries that are different there, where "n2: nothing" stands for an entry that is missing.
//
// A scenario says who, what and when in the words of the field; words such as "the" and "of" may stand
// anywhere. Commands lists the commands; each has a file of its own (cmd_*.go). Parse finds mistakes before
// anything is played and says what would be possible instead.
//
// Play lets a Stage do what the commands say. A stage is a modelled world or a real cluster; nothing here knows
// which. A broken invariant or an expectation that does not hold ends the play with an error: neither can
// become golden output.
package scenario
