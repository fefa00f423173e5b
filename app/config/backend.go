package config

// Backend is where the jobs of queues wait.
type Backend string

// The backends.
const (
	// BackendUnset leaves the choice to the switches.
	BackendUnset Backend = ""
	// BackendRedis is Redis, in BullMQ's layout.
	BackendRedis Backend = "redis"
	// BackendMemory is this process: jobs end with it.
	BackendMemory Backend = "memory"
	// BackendNone is no queue at all: scheduled jobs run inline.
	BackendNone Backend = "none"
)

// Ledger is where the claims of runs are kept.
type Ledger string

// The ledgers.
const (
	// LedgerAuto follows the queue backend: redis for queues in Redis, else sql.
	LedgerAuto Ledger = "auto"
	// LedgerMemory is this process: its scope is the process.
	LedgerMemory Ledger = "memory"
	// LedgerRedis is Redis: workers share their runs.
	LedgerRedis Ledger = "redis"
	// LedgerSQL is the worker's own storage: workers that have it in common
	// share their runs.
	LedgerSQL Ledger = "sql"
)

// Switch is a boolean variable that may also be unset. The zero value is unset.
type Switch uint8

// The states of a switch.
const (
	// SwitchUnset is a variable that nobody set, or set to nothing.
	SwitchUnset Switch = iota
	// SwitchOff is false.
	SwitchOff
	// SwitchOn is true.
	SwitchOn
)

// Wish is what was set about the queue backend.
type Wish struct {
	// Backend is WORKER_QUEUE_BACKEND.
	Backend Backend
	// QueueEnabled is WORKER_QUEUE_ENABLED.
	QueueEnabled Switch
	// RedisEnabled is REDIS_ENABLED.
	RedisEnabled Switch
}

// Contradiction is a pair of settings that cannot both be meant.
type Contradiction struct {
	// Variable is set to Value.
	Variable, Value string
	// Other is set to OtherValue.
	Other, OtherValue string
}

// Resolve weighs the wish. A set backend wins. Unset, it is none if queueing is
// switched off, else redis if Redis is switched on, else memory. The second
// result holds every contradiction; with one, the backend must not be used.
func (w Wish) Resolve() (Backend, []Contradiction) {
	switch {
	case w.Backend != BackendUnset:
		return w.Backend, w.contradictions()
	case w.QueueEnabled == SwitchOff:
		return BackendNone, nil
	case w.RedisEnabled == SwitchOn:
		return BackendRedis, nil
	}
	return BackendMemory, nil
}

func (w Wish) contradictions() []Contradiction {
	var found []Contradiction
	against := func(other string) {
		found = append(found, Contradiction{
			Variable: nameQueueBackend, Value: string(w.Backend), Other: other, OtherValue: "false",
		})
	}
	if w.QueueEnabled == SwitchOff && w.Backend != BackendNone {
		against(nameQueueEnabled)
	}
	if w.RedisEnabled == SwitchOff && w.Backend == BackendRedis {
		against(nameRedisEnabled)
	}
	return found
}
