// Gotest runs go test and ends with a count of packages and tests, the way a reader of a long log
// wants it: what go test says about each package as it comes, the output of failed tests only, and
// in the end the failed and the skipped tests by name. Of a test that passed it shows the lines that begin with "report: ",
// without that: what somebody should read each time.
//
//	go run ./internal/tidy/gotest [-matrix] [go test flags] packages
//
// It fails when go test does. With the environment variable CI set it also fails when a test was
// skipped: on a machine that has everything, a skipped test is one that nobody notices.
//
// Before the count stands the matrix of stores and cases, if tests had lines for it ("conform: etcd-3@3.4.23 C8_conditional_put ok"):
// which case of the contract of a store, and which comparison with its model, ran on which models and real servers, and which branches of
// the models were seen on a real server or read in its source. With -matrix, first, an empty cell is a failure.
package main
