package redisqueue

import (
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Queue reaches what BullMQ offers of one queue beyond what every queue has
// behind the ports. It is safe for concurrent use; its calls block until the
// server answers or their context ends, and then fail with [ports.ErrUnavailable]
// or the context's error.
type Queue struct {
	backend *Backend
	name    domain.QueueName
	// base is what the names of the queue's keys begin with.
	base string
}

// Queue returns the queue of that name, which need not exist yet. The error
// is [domain.ErrInvalid].
func (b *Backend) Queue(name domain.QueueName) (*Queue, error) {
	if err := name.Validate(); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return &Queue{backend: b, name: name, base: b.keys.queue(name)}, nil
}

// Name returns the queue's name.
func (q *Queue) Name() domain.QueueName { return q.name }
