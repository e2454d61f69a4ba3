package coverage

import "github.com/regent-ha/regent/events"

// SilentRow is a row of the rule table that no simulation need reach, and why.
type SilentRow struct {
	Rule events.RuleID
	Why  string
	// Luck marks a row that bad days reach now and then, and no scenario: it may fire or not.
	Luck bool
}

// Silent are the rows that no scenario reaches, and bad days not or by luck only. What is not here fires in one of them.
var Silent = []SilentRow{
	{Rule: "WA-04", Why: "a guard fires for a primary, and the agent hears of that before it finds the data gone"},
	{Rule: "CL-30", Why: "a copy that was made and is gone before the next look", Luck: true},
	{Rule: "SP-02", Why: "the guard fires in the milliseconds between the end of PostgreSQL and its next start", Luck: true},
	{Rule: "SP-76", Why: "a member whose PostgreSQL ends while it holds the lease gives that away, or forgets it, on its way here"},
	{Rule: "JO-04", Why: "the guard fires in the milliseconds in which PostgreSQL starts", Luck: true},
	{Rule: "FL-28", Why: "a guard that dies is replaced within 100 ms, and one that takes no deadline is found out by PR-30", Luck: true},
	{Rule: "FL-02", Why: "an agent is asked to stop in the moment in which something works on the data of a replica that runs", Luck: true},
	{Rule: "FL-04", Why: "the guard of a replica is disarmed before it can fire, unless a promotion outlived its agent", Luck: true},
	{Rule: "CA-04", Why: "a lease is won on a view that shows an older timeline, which takes a stale read that lasts through an election", Luck: true},
	{Rule: "CA-08", Why: "a lease is won, and for ten seconds neither the watch nor a read shows it", Luck: true},
	{Rule: "CA-12", Why: "a promotion outlives its agent, on a timeline that the cluster has left: TestPrimaryInACampaign shows it", Luck: true},
	{Rule: "CA-06", Why: "PostgreSQL dies in the milliseconds between the claim of a free lease and the answer", Luck: true},
	{Rule: "CA-07", Why: "the answer to a claim takes so long that the lease is about to end", Luck: true},
	{Rule: "PR-40", Why: "PostgreSQL hangs while the guard is waited for: TestHangBeforeThePromotionGivesTheLeaseAway shows it", Luck: true},
	{Rule: "AD-02", Why: "an agent that adopts a primary gives up 200 ms before the guard's deadline (AD-40)", Luck: true},
	{Rule: "AD-04", Why: "a primary of another cluster would accept writes meanwhile, which the judge of S7 rightly takes for a broken cluster"},
	{Rule: "AD-06", Why: "the end of the primary is told before it can be found to be a replica (AD-05)"},
	{Rule: "AD-25", Why: "a primary without an agent is ended by its guard before anything newer can lead, unless guards are off"},
	{Rule: "LD-21", Why: "the model's dead postmaster leaves its children for 60 ms, and a request to stop in these is answered by LD-30", Luck: true},
	{Rule: "LD-23", Why: "the model takes data away only where PostgreSQL is down, and its end is told before the next look"},
	{Rule: "LD-35", Why: "the end of the primary is told before it can be found to be a replica (LD-24, and then ON-32)", Luck: true},
	{Rule: "DE-99", Why: "PostgreSQL is looked at after everything that happens to it", Luck: true},
	{Rule: "YI-30", Why: "a named candidate that answers and still has not received everything when the lease is about to end", Luck: true},
	{Rule: "YI-99", Why: "the release of the lease ends in an outcome", Luck: true},
	{Rule: "RS-18", Why: "a restart as a primary that ends just after the lease, before RS-05 or RS-06", Luck: true},
	{Rule: "RS-20", Why: "in the model a primary that was stopped in order starts again", Luck: true},
	{Rule: "RS-25", Why: "in the model a replica that was stopped in order starts again, unless something else strikes", Luck: true},
	{Rule: "FE-99", Why: "in the model everything dies by SIGKILL"},
	{Rule: "PA-08", Why: "a pause disarms the guards; one that has fired before is told before the pause", Luck: true},
	{Rule: "SD-35", Why: "the modelled agent looks at PostgreSQL as soon as it starts"},
	{Rule: "SD-40", Why: "in the model everything dies by SIGKILL"},
	{Rule: "SD-99", Why: "PostgreSQL is looked at after everything that happens to it", Luck: true},
}

// WhySilent is the reason for which a row need not fire, nil if it must.
func WhySilent(rule events.RuleID) *SilentRow {
	for i := range Silent {
		if Silent[i].Rule == rule {
			return &Silent[i]
		}
	}
	return nil
}
