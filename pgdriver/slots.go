package pgdriver

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"github.com/regent-ha/regent/events"
)

// Checkpoint makes the server write a checkpoint.
func (d *Driver) Checkpoint(ctx context.Context, _ func(string)) (events.Result, error) {
	conn, giveBack, err := d.borrowOrConnect(ctx)
	if err != nil {
		return events.Result{}, fmt.Errorf("checkpoint: %w", err)
	}
	defer giveBack()
	if _, err := ask(ctx, conn, "CHECKPOINT"); err != nil {
		return events.Result{}, fmt.Errorf("checkpoint: %w", err)
	}
	return events.Result{}, nil
}

// SyncSlots makes the physical slots of members exist, reserving WAL at once, and drops those of drop. A slot in
// use is not dropped; the error says so and the next attempt will.
func (d *Driver) SyncSlots(ctx context.Context, members, drop []string, _ func(string)) (events.Result, error) {
	e, cfg := d.inForce(), d.config()
	conn, giveBack, err := d.borrowOrConnect(ctx)
	if err != nil {
		return events.Result{}, fmt.Errorf("synchronise slots: %w", err)
	}
	defer giveBack()
	slots, err := physicalSlots(ctx, conn)
	if err != nil {
		return events.Result{}, fmt.Errorf("synchronise slots: %w", err)
	}
	keep := map[string]bool{}
	var errs []error
	for _, m := range members {
		name := SlotName(m)
		keep[name] = true
		if _, has := slots[name]; has || !e.useSlots || m == cfg.Name {
			continue
		}
		_, err := ask(ctx, conn, "SELECT pg_create_physical_replication_slot("+quoteLiteral(name)+", true)")
		if err != nil && sqlState(err) != "42710" { // somebody was faster
			errs = append(errs, fmt.Errorf("create slot %s: %w", name, err))
			continue
		}
		d.log.Info("created replication slot", zap.String("slot", name))
	}
	for _, m := range drop {
		name := SlotName(m)
		active, has := slots[name]
		if !has || keep[name] {
			continue
		}
		if active {
			errs = append(errs, fmt.Errorf("drop slot %s: it is in use", name))
			continue
		}
		if _, err := ask(ctx, conn, "SELECT pg_drop_replication_slot("+quoteLiteral(name)+")"); err != nil && sqlState(err) != "42704" {
			errs = append(errs, fmt.Errorf("drop slot %s: %w", name, err))
			continue
		}
		d.log.Info("dropped replication slot", zap.String("slot", name))
	}
	d.Poke()
	if err := errors.Join(errs...); err != nil {
		return events.Result{}, hinted("synchronise slots", err, "see max_replication_slots, and who streams from the slots in use")
	}
	return events.Result{}, nil
}

func physicalSlots(ctx context.Context, conn *pgconn.PgConn) (map[string]bool, error) {
	rs, err := ask(ctx, conn, "SELECT slot_name, active FROM pg_replication_slots WHERE slot_type = 'physical'")
	if err != nil {
		return nil, err
	}
	slots := map[string]bool{}
	for _, r := range rs {
		for _, row := range r.Rows {
			slots[string(row[0])] = string(row[1]) == "t"
		}
	}
	return slots, nil
}
