// Package ports holds the interfaces through which the core reaches the
// world: queues, ledgers, the waker and the history of runs. Adapters
// implement them; the suites of package porttest say when an implementation
// is right, and package portmock has generated mocks for unit tests.
//
// Every implementation is safe for concurrent use. While ctx lives, no call
// returns with an unknown outcome: an adapter whose store went away retries
// what it can repeat until it knows. Errors wrap the sentinels of this
// package where a caller can do something about them.
package ports

//go:generate go tool mockgen -typed -package portmock -destination portmock/job.go . Handler,ScheduledHandler,RunStore
//go:generate go tool mockgen -typed -package portmock -destination portmock/schedule.go . Waker,Ledger,ScheduleSwitch,Dispatcher
//go:generate go tool mockgen -typed -package portmock -destination portmock/queue.go . Enqueuer,Consumer,Inspector,Limiter
