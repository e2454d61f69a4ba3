// Package log keeps the event log on local disk: every input that the engine consumed, every decision that it came to,
// and notes for people, in the order in which they happened.
//
// The log serves people and replay. It is not where an agent learns who leads, and it is never in the way: Append does
// no I/O and takes no lock that I/O holds. One goroutine, owned by Run, encodes and writes. When the disk hangs or
// refuses, the queue fills, further records are dropped and counted, and a note stands at exactly the place where they
// are missing, with their number and their range.
//
// # On disk
//
// A log is a directory of segments, each named by the number of its first record: 00000000000000000001.log. A segment
// begins with a header (magic, format, who wrote it, the checksum it goes on from), and then holds frames. A frame is
//
//	marker | length | checksum | checksum of the record before | number | seq | wall | kind, schema | payload
//
// and the payload is JSON: an events.Input, an events.Decision or a Note. The checksum (CRC-32C) covers the rest of the
// frame with the previous record's checksum in it, so that a record that was changed, removed, moved or spliced
// in breaks the chain, while every frame can still be checked by itself. Numbers have no gaps.
//
// The same chain explains what a failing disk leaves behind: when a write or a sync fails, the writer abandons its
// segment and writes everything that is not known to be on disk again into a new one, whose header names the first
// record and the checksum before it. A segment therefore counts only up to where the next one begins.
//
// A log that ends in the middle of a frame has a torn tail: Open cuts and reports it, a Reader reports it. Anything else
// that does not fit is a *DamageError: it is never skipped in silence, and never cut.
package log
