// Package runner is Takt's engine. It turns ticks into runs and leased jobs
// into attempts, decides what follows, and settles it:
//
//	schedule ─due─► claim ─► jitter ─► overlap slot ─► attempts ─► finish or dispatch
//	queue ─lease─► attempt ─► decide ─► settle, and lease the next
//
// The runner knows the ports and no adapter, and it has no clock and no
// chance of its own beyond timers: the present moment and the dice come in
// through [Ports]. Each decision is a pure function of values (decide.go,
// plan.go) whose result is written as a [domain.Record].
//
// A [Runner] starts and stops as a whole. Its goroutines end before
// [Runner.Stop] returns, except those of handlers that ignore the end of
// their context, which are reported with their stack and fenced off.
package runner
