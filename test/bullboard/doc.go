// Package bullboard holds the tests that look at queues which Takt fills and
// works through Bull Board, in a browser without a screen: make bullboard.
package bullboard
