// Package conform runs the contract of package backends, which the adapters pass against the real
// servers, against a model of a store. The contract's cases are ordinary tests: they start goroutines,
// wait and poll by the clock. So each of them runs in a bubble of testing/synctest, whose time is
// virtual, and the model's world (kernel.Env) is made of the bubble's time:
//
//	func TestContract(t *testing.T) {
//		conform.Run(t, func(env kernel.Env, scope string) stores.Model {
//			return etcd.New(env, etcd.Options{Servers: 3})
//		}, conform.Options{Seeds: []uint64{0, 1, 2}})
//	}
//
// A model knows one goroutine only. Env holds a mutex while the model runs, be it for a request, a
// fault or something that it planned, and gives the answers and facts to the cases' goroutines
// outside it. The order of the goroutines is not a function of the seed, so a run here is a
// test of the model and no replayable run: those are the kernel's.
//
// Beside the contract the bridge checks what stores.Session promises: an answer comes exactly once,
// not before Do has returned, by the deadline, and not after Close.
//
// Run logs one line for every case, "conform: <name> <case> ok seed=<seed>", or failed instead of ok, and one,
// "conform: <name> <case> without <fault>", for a case that the model has no fault for; from them the
// matrix of stores and cases is collected.
package conform
