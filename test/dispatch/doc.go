// Package dispatch holds the tests of dispatchers whose ledger and queues are
// kept by different adapters.
package dispatch
