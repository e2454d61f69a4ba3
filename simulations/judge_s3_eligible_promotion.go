package simulations

import "github.com/regent-ha/regent/events"

// eligiblePromotion is S3: whoever is made a primary may lead, its data is not of a timeline that the cluster has left, unless an
// operator gave that timeline up, and whoever is promoted is not further behind the last leader than maximum_lag_on_failover, unless an operator
// named it.
type eligiblePromotion struct{ watching }

func (j *eligiblePromotion) step(m *Member, _ *events.Input, d *events.Decision) {
	for i := range d.Effects {
		if !events.MakesPrimary(d.Effects[i].Action) {
			continue
		}
		what := d.Effects[i].Action.ActionKind()
		if m.Tags.NoFailover {
			j.breaks("%s issues %s, and it is tagged nofailover", m.name, what)
		}
		v := events.ParseView(j.w.store.Contents())
		if known := v.ClusterTimeline(); m.pg.Timeline() < known && !j.w.operators.failoverTo(m) {
			j.breaks("%s issues %s on timeline %d, and the cluster's is %d", m.name, what, m.pg.Timeline(), known)
		}
		most := m.engine.Status().Settings.MaximumLagOnFailover
		if what == events.ActPromote && v.Status.Optime > m.pg.LSN()+most && !j.w.operators.named(m) {
			j.breaks("%s issues %s at %v, more than %d bytes behind the last leader, %v", m.name, what, m.pg.LSN(), most, v.Status.Optime)
		}
	}
}
