package app

import (
	"sync/atomic"

	"github.com/taktwork/takt/adapters/redisqueue"
)

// BullMQ is what queues in Redis offer beyond what every queue has: flows, job
// schedulers, limits, getters and events. A constructor asks for a *BullMQ, and
// uses it in hooks and jobs. It is safe for concurrent use.
type BullMQ struct {
	backend atomic.Pointer[redisqueue.Backend]
}

// Backend returns the backend of the worker's queues, from OnStart on, and
// false when they are not in Redis. It is the worker's: a feature does not close
// it, and its calls fail with [ports.ErrClosed] once the worker has stopped.
func (b *BullMQ) Backend() (*redisqueue.Backend, bool) {
	backend := b.backend.Load()
	return backend, backend != nil
}
