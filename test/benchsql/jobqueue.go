package main

import (
	"log/slog"
	"math"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/ports"
)

// backend holds a queue from the first job to the last.
type backend interface {
	ports.Enqueuer
	OpenConsumer(options ports.ConsumerOptions) (ports.Consumer, error)
	Close() error
}

// jobQueue is where jobs wait.
type jobQueue struct {
	name string
	open func() (backend, error)
	// ahead is how many may wait. So many are enqueued before they are worked,
	// the others meanwhile.
	ahead int
}

// inMemory is a queue in the memory of the worker. It is fed while it is worked:
// the memory of all jobs at once would make the collector come seldom, and
// what it takes for the records of history would hardly show.
func inMemory() jobQueue {
	return jobQueue{name: "memory", ahead: 5000, open: func() (backend, error) { return inmemqueue.New(inmemqueue.Config{}), nil }}
}

// inRedis is a queue in a Redis server. All jobs are there before they are worked:
// to enqueue one takes this process and the server nearly half of what it takes
// to work it, which would make what history takes look smaller.
func inRedis(server *redisServer) jobQueue {
	return jobQueue{name: "redis", ahead: math.MaxInt, open: func() (backend, error) {
		return redisqueue.New(redisqueue.Config{
			Connection: redisqueue.Connection{Addr: server.addr}, Log: slog.New(slog.DiscardHandler),
		})
	}}
}
