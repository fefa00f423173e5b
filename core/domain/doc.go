// Package domain holds Takt's values and pure decisions: jobs and their
// options, outcomes, scheduled jobs and their policies, runs, claims and
// records. It does no I/O, reads no clock and draws no chance: time and dice
// come in as arguments.
//
// A job moves through these states; the names are BullMQ's, because they
// reach its wire and its users:
//
//	            ┌────────── retry, snooze, park ─────────┐
//	            ▼                                        │
//	enqueue ─► delayed ─► wait / prioritized ─► active ──┼─► completed
//	            │                 ▲               │      └─► failed
//	            └─────────────────┴── returned ◄──┘
package domain
