package coverage

import "github.com/regent-ha/regent/events"

// Outcomes are how effects and requests end, in the order of their numbers here.
var Outcomes = []events.Outcome{events.Done, events.Failed, events.Unknown, events.Lost, events.Denied, events.Stale}

const outcomesMax = 7 // the last one is none of them

func outcome(o events.Outcome) int {
	switch o {
	case events.Done:
		return 0
	case events.Failed:
		return 1
	case events.Unknown:
		return 2
	case events.Lost:
		return 3
	case events.Denied:
		return 4
	case events.Stale:
		return 5
	}
	return outcomesMax - 1
}

// Effects are the classes of effects that end with an outcome, in the order of their numbers here.
var Effects = []events.ActionKind{
	events.ActAcquireLease, events.ActRenewLease, events.ActReleaseLease, events.ActHandOverLease, events.ActPrepareLease,
	events.ActPutKey, events.ActDeleteKey, events.ActPutMember, events.ActReadDCS,
	events.ActBootstrap, events.ActClone, events.ActStartPostgres, events.ActStopPostgres, events.ActRestartPostgres, events.ActPromote,
	events.ActFollow, events.ActCheckpoint, events.ActCheckDivergence, events.ActCrashRecover, events.ActRewind, events.ActSyncSlots,
	events.ActApplyConfig, events.ActArmGuard, events.ActDisarmGuard,
}

const effectsMax = 32 // the last one is what is not among Effects

// effectNumbers finds the numbers of Effects.
var effectNumbers = func() map[events.ActionKind]int {
	m := map[events.ActionKind]int{}
	for i, a := range Effects {
		m[a] = i
	}
	return m
}()

// effect is the number of a class of effects. Those that end all the time are asked first.
func effect(a events.ActionKind) int {
	switch a {
	case events.ActPutMember:
		return 7
	case events.ActReadDCS:
		return 8
	case events.ActPutKey:
		return 5
	case events.ActArmGuard:
		return 22
	}
	if n, ok := effectNumbers[a]; ok {
		return n
	}
	return effectsMax - 1
}

func leaseEffect(op events.LeaseOp) int {
	switch op {
	case events.LeaseAcquire:
		return 0
	case events.LeaseRenew:
		return 1
	case events.LeaseRelease:
		return 2
	case events.LeaseHandOver:
		return 3
	}
	return effectsMax - 1
}
