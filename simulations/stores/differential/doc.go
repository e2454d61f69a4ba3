// Package differential compares a model of a store with the real one. It lets two members do random things to a real
// store through its adapter, writes down what was asked, when, and what was answered, and then looks for a run of the model
// that answers the same:
//
//	history := differential.Record(subject, seed)
//	verdict := differential.Admits(build, history, differential.Options{})
//
// The model is a function of its choices (kernel.Env), so "the model allows it" means that some choices lead to it. Search tries
// them: those that were right up to a call are kept, and those behind it are drawn anew. A history that no choices
// lead to is reported up to the first call that none could follow, with what the model answered instead.
//
// Compared are outcomes, revisions by their order (equal, older, newer; never as numbers), what a snapshot shows, whether a
// lease is dated from before its call, what the watches were told and in which order, and the ends of leases and of member
// records. The latter are intervals: never earlier than the model's earliest end, and later by no more than Options.Late, which
// is what a loaded machine may add.
//
// Where servers are hurt, an outcome that was not learned says nothing, and a call may take effect at any moment until its answer, or
// at any moment at all if it had none. What was answered, and the state afterwards, must be the model's all the same.
//
// Wrong are wrong models, by which a test shows that it would notice. The tests of this package play the adapter half of the models
// against themselves; the real servers are in integration/models.
package differential
