// Package porttest holds the conformance suites of the ports: what an adapter
// passes, the core can rely on. It knows no adapter; each brings a harness
// that opens fresh backends, moves their time and declares what they can.
//
// It also has benchmarks that every adapter runs alike, and faulty wrappers
// ([FaultyEnqueuer], [FaultyConsumer]) that make a working adapter fail or
// lose replies on demand, for tests of what is built on the ports.
package porttest
