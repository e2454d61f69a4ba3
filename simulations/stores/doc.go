// Package stores says what a model of a store is; the models live in the packages below it, one
// for each kind: etcd, consul, zookeeper, kubernetes, nats.
//
// A model stands for the store's servers and for our adapter to them at once: it takes the requests
// that an agent's adapter takes (backends.Store) and answers as the adapter would, with the store's
// own semantics in between. Its servers crash, freeze, elect leaders and serve stale answers; messages
// between a member's host and each of them travel over a Line, which may lose them in either
// direction. A model has no goroutine, no clock and no source of chance of its own: all three come
// from kernel.Env, so that a run is a function of its choices.
//
// What a model does is what the real store does, no better and no worse. Package conform runs the
// contract of package backends against every model, in virtual time. A branch of a model that was
// seen on a real server says "seen on <version>"; one that was only read in its source says where.
package stores
