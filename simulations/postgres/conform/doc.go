// Package conform shows that the model of PostgreSQL behaves as PostgreSQL does. Its scripts play on a Stage, which is the model or real
// servers, move the servers as the driver of a member does, and note facts in words that depend on no position and no time:
//
//	facts := conform.Play(t, conform.Model(t), script)
//
// What PostgreSQL told is kept in postgresql15.txt. The test here plays the scripts on the model, in virtual time, and compares; package
// pgdriver/conformance plays them on PostgreSQL and compares with the same file, which it writes anew with -record. So a change of the model
// is judged in a moment, and that the file is true is judged by the real servers.
//
// A script waits for conditions. Time passes in it only where something must not happen.
package conform
