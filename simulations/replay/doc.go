// Package replay makes a world of production event logs: those of one member, or of all.
//
// Merge puts the steps of several logs on one axis. Every host has a boot clock of its own, so that instants of two logs mean
// nothing to each other; what orders them is causality. A write that one member asked for was asked for before any other saw it,
// by its key and revision, or by its text. Each such fact bounds the offset between two clocks from one side; members write their own records all
// the time, so that bounds come from both sides and lie a message's way apart. The offset is taken from the middle, and half the distance is told as
// the doubt. Where facts are missing the wall clocks decide, and that is told too.
//
// Judge feeds every recorded input to an engine of its member, in that order, compares what is decided with what was recorded,
// and lets judges look at what can be known from recorded facts alone: lease tenures, servers that accepted writes, guards,
// timelines, pauses. It breaks nothing but what is certain: an overlap within the doubt is a close call and no breach.
//
// Moment cuts the recording at a step. From there on the models of package simulations take over.
package replay
