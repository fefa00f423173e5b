// Package ledgerhistory records what concurrent clients ask a ledger and what
// they are answered, and checks that the history is linearizable: that there is
// an order of the calls, each between its beginning and its end, in which a
// ledger that does one thing after another would have answered the same.
//
// It covers cursors, claims with their tokens, and the slot of runs that skip
// or start freely, with leases that do not run out. Runs that wait for the slot
// are left to the suites that compare ledgers step by step.
package ledgerhistory
