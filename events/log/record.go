package log

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/regent-ha/regent/events"
)

// Kind tells what a record holds. The numbers are permanent: they stand on disks.
type Kind uint8

// The kinds of records.
const (
	KindInput    Kind = 1
	KindDecision Kind = 2
	KindNote     Kind = 3
)

// String is the word for the kind that Cat writes.
func (k Kind) String() string {
	switch k {
	case KindInput:
		return "input"
	case KindDecision:
		return "decision"
	case KindNote:
		return "note"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// schema is the version of the payloads that this version writes. Readers keep every older one.
const schema = 1

// Note is a record for people. It is no input: nothing decides by it.
type Note struct {
	Text string `json:"text"`
	// Missing records, with those of the inputs From to To, are not in the log at this place.
	Missing uint64 `json:"missing,omitempty"`
	From    uint64 `json:"from,omitempty"`
	To      uint64 `json:"to,omitempty"`
	// Lasted is how long that which the note tells of lasted.
	Lasted time.Duration `json:"lasted,omitempty"`
}

// Record is one entry of the log.
type Record struct {
	// Number is the record's place in the log; the writer assigns it.
	Number uint64
	Kind   Kind
	// Seq is that of the input, or of the input that was decided on.
	Seq  uint64
	Wall int64 // Unix nanoseconds, for people
	// Payload is the JSON of what the record holds. It is set in records that were read.
	Payload []byte
	schema  uint8

	// What is to be encoded, in records that are to be written.
	input    events.Input
	decision *events.Decision
	note     *Note
}

// OfInput makes a record of an input. Nothing that the input refers to may be modified afterwards.
func OfInput(in events.Input) Record {
	return Record{Kind: KindInput, Seq: in.Seq, Wall: in.Wall, input: in}
}

// OfDecision makes a record of a decision, taken at wall time wall. The decision must not be modified afterwards.
func OfDecision(d *events.Decision, wall int64) Record {
	return Record{Kind: KindDecision, Seq: d.Input, Wall: wall, decision: d}
}

// OfNote makes a record of a note, written beside the input seq.
func OfNote(n Note, seq uint64, wall int64) Record {
	return Record{Kind: KindNote, Seq: seq, Wall: wall, note: &n}
}

func (r *Record) encode() ([]byte, error) {
	switch r.Kind {
	case KindInput:
		return r.input.MarshalJSON()
	case KindDecision:
		if r.decision != nil {
			return json.Marshal(r.decision)
		}
	case KindNote:
		if r.note != nil {
			return json.Marshal(r.note)
		}
	}
	return nil, fmt.Errorf("encode %s of input %d: the record is empty", r.Kind, r.Seq)
}

// Input decodes the payload of a record of kind input.
func (r *Record) Input() (events.Input, error) { return decode[events.Input](r, KindInput) }

// Decision decodes the payload of a record of kind decision.
func (r *Record) Decision() (events.Decision, error) { return decode[events.Decision](r, KindDecision) }

// Note decodes the payload of a record of kind note.
func (r *Record) Note() (Note, error) { return decode[Note](r, KindNote) }

func decode[T any](r *Record, want Kind) (T, error) {
	var v T
	if r.Kind != want {
		return v, fmt.Errorf("record %d holds a %s, not a %s", r.Number, r.Kind, want)
	}
	if r.schema > schema {
		return v, fmt.Errorf("record %d has schema %d: written by a newer version?", r.Number, r.schema)
	}
	if err := json.Unmarshal(r.Payload, &v); err != nil {
		return v, fmt.Errorf("record %d: %w", r.Number, err)
	}
	return v, nil
}
