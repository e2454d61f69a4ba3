package scenario

import "errors"

// ByHand is what else can be done to the members' PostgreSQL servers, by a person or by accident. A stage need not know it.
type ByHand interface {
	// StartPostgres is what a person does with pg_ctl start, as a replica with a standby.signal before it. It must not run.
	StartPostgres(member string, replica bool) error
	// StopPostgres is pg_ctl stop.
	StopPostgres(member string) error
	// CrashBackend kills one of its backends: the postmaster ends the others, recovers, and goes on.
	CrashBackend(member string) error
	// SpoilData makes the data directory one that is not PostgreSQL's. PostgreSQL must not run.
	SpoilData(member string) error
	// DeafenGuard lets a guard take no new deadline, or hear again. It fires at the one that it has.
	DeafenGuard(member string, deaf bool) error
	// FailEffects lets everything that agents do to PostgreSQL fail, or not any more; SlowEffects lets it take ten times as long.
	FailEffects(fail bool) error
	SlowEffects(slow bool) error
}

// byHand does something that not every stage knows.
func byHand(do func(ByHand) error) action {
	return func(r *run) error {
		h, ok := r.stage.(ByHand)
		if !ok {
			return errors.New("this stage cannot do that to PostgreSQL")
		}
		return do(h)
	}
}

// eachByHand does it to each of them.
func (x who) eachByHand(do func(h ByHand, member string) error) action {
	return x.each(func(r *run, member string) error {
		return byHand(func(h ByHand) error { return do(h, member) })(r)
	})
}
