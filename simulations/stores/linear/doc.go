// Package linear holds tests only: histories of concurrent clients of the models of stores, under faults, are checked with porcupine for
// what package backends promises. Keys are registers that are written under conditions; the leader key is a register that
// somebody holds between the moment when it was won and the end of the lease, which nobody else may win before.
//
// Checked is what the contract calls linearizable: Snapshot, and Put, Delete, Acquire, Renew and Release under their conditions. An outcome
// that is unknown may take effect at any time after it was asked for, or never. What watches tell is later than the truth, by
// contract, and no part of it. Nor is it checked that one snapshot shows all keys at one moment: each key is a history of its own.
// The checker is itself checked, with adapters that lie.
package linear
