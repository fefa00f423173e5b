//go:build race

package sim_test

// The race detector makes the simulation six times as slow, and sees all it can see
// in fewer days. "make test" simulates all of them without it.
const raced = true
