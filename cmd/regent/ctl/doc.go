// Package ctl is what regent's operator verbs do: list, switchover, restart, edit-config and their
// like, in the words, formats and prompts of patronictl, so that scripts written for one read the other.
//
// A Session belongs to one run of one verb. It reaches the cluster through a Source: the store that
// the members agree in, or, with Options.URL, one member's REST API. Orders to members go through
// their REST APIs. Everything that is read or written passes through the session's own reader and
// writers, so that a test sees what a person would see.
//
// Exit codes are patronictl's: 0 even when a member refused an order, 1 when the verb could not be
// carried out or was not confirmed, 2 for a wrong command line. With Options.Strict an order that failed
// is 3, and one whose outcome is not known is 4.
//
// It differs from patronictl on purpose in the following:
//
//   - Every request has a time limit (Options.Timeout), so a hung member does not block the verb.
//   - The failover key is written directly only if no connection to the member could be made, never
//     after a request that may have been accepted.
//   - edit-config refuses values that no member would accept, and says which.
//   - reinit --force without members says that it does nothing.
package ctl
