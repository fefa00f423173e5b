// Package sim runs a whole scheduler for weeks of virtual time, in seconds,
// and compares what happened with a model of its own: which ticks there are,
// what the policies make of each, when each attempt begins and ends. The
// tests alone have code; `make torture` runs them with many seeds.
package sim
