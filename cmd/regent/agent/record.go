package agent

import (
	"context"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/regent-ha/regent/engine"
	"github.com/regent-ha/regent/events"
	eventlog "github.com/regent-ha/regent/events/log"
)

// recorder gives every step to the event log.
type recorder struct{ w *eventlog.Writer }

func (r recorder) Record(in events.Input, d *events.Decision) {
	r.w.Append(eventlog.OfInput(in)) // what the queue cannot take, the writer counts and notes
	r.w.Append(eventlog.OfDecision(d, in.Wall))
}

func (r recorder) Sync(ctx context.Context) error { return r.w.Sync(ctx) }

// The keys of log lines. They are the only ones that decisions are logged with.
const (
	keyRule    = "rule"
	keyState   = "state"
	keyFrom    = "from"
	keyEffects = "effects"
	keyEpoch   = "epoch"
)

// narrate writes the log lines of a step: the event log is the log, these are its headlines.
func narrate(log *zap.Logger) func(events.Input, *events.Decision, *engine.Status) {
	return func(in events.Input, d *events.Decision, s *engine.Status) {
		for _, b := range d.Broken {
			log.Error("an invariant broke: this is a bug in regent, and this member is fenced",
				zap.String("invariant", b), zap.String("input", string(in.Fact.FactKind())))
		}
		if f, ok := in.Fact.(events.EffectFinished); ok && f.Outcome != events.Done {
			log.Warn("effect "+string(f.Outcome), zap.String("action", string(f.Action)), zap.String("error", f.Error), zap.String("hint", f.Hint))
		}
		level := zapcore.InfoLevel
		if d.From == d.To && d.Why == "" {
			level = zapcore.DebugLevel
		}
		if !d.Changed() {
			return
		}
		fields := []zap.Field{zap.String(keyState, string(d.To)), zap.String(keyRule, string(d.Rule))}
		if d.From != d.To {
			fields = append(fields, zap.String(keyFrom, string(d.From)))
		}
		if s.Epoch != 0 {
			fields = append(fields, zap.Uint64(keyEpoch, s.Epoch))
		}
		if names := effectNames(d.Effects); len(names) > 0 {
			fields = append(fields, zap.Strings(keyEffects, names))
		}
		log.Log(level, headline(d), fields...)
	}
}

// headline is the reason of the last lifecycle row that acted, or of the one that holds.
func headline(d *events.Decision) string {
	if d.Why != "" {
		return d.Why
	}
	if len(d.Fired) > 0 {
		return string(d.Fired[len(d.Fired)-1].Rule) + " " + d.Fired[len(d.Fired)-1].Why
	}
	return "decided"
}

func effectNames(effects []events.Effect) []string {
	var names []string
	for _, e := range effects {
		names = append(names, string(e.Action.ActionKind()))
	}
	return names
}
