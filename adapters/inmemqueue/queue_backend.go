package inmemqueue

import (
	"fmt"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// What a [Config] means where it says nothing.
const (
	DefaultMaxJobs    = 100_000
	DefaultMaxBytes   = 64 << 20
	DefaultMaxPayload = 1 << 20
)

// Config sets the clock and the bounds of a [Backend]. Zero fields take
// their default.
type Config struct {
	// Now is the clock, [time.Now] by default. Delays and leases are measured
	// on the monotonic reading that its times carry and timers must keep pace
	// with it, so that steps of the wall clock move nothing.
	Now func() time.Time
	// MaxJobs bounds the jobs of one queue, finished ones included, its
	// deduplication keys with a time of their own, and the receipts of all
	// queues; of keys and receipts those that end first make room.
	MaxJobs int
	// MaxBytes bounds what one queue keeps in payloads, results and notes.
	MaxBytes int
	// MaxPayload bounds the payload of one job in bytes.
	MaxPayload int
	// Ended, if set, is told the receipts of jobs that are over: completed,
	// failed, or removed before; and of jobs that were deduplicated, unless they
	// are kept to follow the owner of their key, until they are over, replaced or
	// removed with it. The call that ended them waits for it, under no
	// lock. Retrying a failed job has it told again.
	Ended func(receipts []string)
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxJobs == 0 {
		c.MaxJobs = DefaultMaxJobs
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = DefaultMaxPayload
	}
	return c
}

// Backend holds the queues of one process. It is safe for concurrent use.
type Backend struct {
	config   Config
	clock    clock
	receipts receiptBook

	mu     sync.RWMutex
	queues map[domain.QueueName]*queue
	closed bool
}

var (
	_ ports.Enqueuer     = (*Backend)(nil)
	_ ports.Inspector    = (*Backend)(nil)
	_ ports.Limiter      = (*Backend)(nil)
	_ ports.OpenConsumer = (*Backend)(nil).OpenConsumer
	_ ports.Consumer     = (*consumer)(nil)
)

// New returns an empty backend.
func New(config Config) *Backend {
	config = config.withDefaults()
	return &Backend{
		config:   config,
		clock:    newClock(config.Now),
		receipts: receiptBook{most: config.MaxJobs, known: make(map[string]*receiptEntry)},
		queues:   make(map[domain.QueueName]*queue),
	}
}

// Close ends every call that waits for jobs with [ports.ErrClosed] and
// refuses further ones. It returns when no timer runs any more; calling it
// twice does no harm. The jobs stay in memory for [Backend.Remaining].
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	for _, q := range b.queues {
		q.close()
	}
	return nil
}

// Remaining returns how many unfinished jobs each queue holds, with those that
// are kept to follow others; queues without any are left out. It works after Close: these jobs end with the process.
func (b *Backend) Remaining() map[domain.QueueName]int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	remaining := make(map[domain.QueueName]int)
	for name, q := range b.queues {
		if n := q.remaining(); n > 0 {
			remaining[name] = n
		}
	}
	return remaining
}

// queue returns the named queue, made if need be.
func (b *Backend) queue(name domain.QueueName) (*queue, error) {
	b.mu.RLock()
	q, closed := b.queues[name], b.closed
	b.mu.RUnlock()
	switch {
	case closed:
		return nil, ports.ErrClosed
	case q != nil:
		return q, nil
	}
	if err := name.Validate(); err != nil {
		return nil, err
	}
	return b.addQueue(name)
}

func (b *Backend) addQueue(name domain.QueueName) (*queue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ports.ErrClosed
	}
	if b.queues[name] == nil {
		b.queues[name] = newQueue(name, b.clock, b.config)
	}
	return b.queues[name], nil
}

// peek returns the named queue, or nil if nothing was ever put on it.
func (b *Backend) peek(name domain.QueueName) (*queue, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return nil, ports.ErrClosed
	}
	if q := b.queues[name]; q != nil {
		return q, nil
	}
	if err := name.Validate(); err != nil {
		return nil, err
	}
	return nil, nil //nolint:nilnil // a queue that does not exist yet is empty, not an error
}

// OpenConsumer opens a consumer of a queue and makes parked jobs due whose
// names the options list. It returns [domain.ErrInvalid] for a bad queue name
// or a lease that is not positive.
func (b *Backend) OpenConsumer(options ports.ConsumerOptions) (ports.Consumer, error) {
	if options.Lease <= 0 {
		return nil, domain.Invalidf("open consumer: lease %s is not positive", options.Lease)
	}
	q, err := b.queue(options.Queue)
	if err != nil {
		return nil, fmt.Errorf("open consumer: %w", err)
	}
	q.promoteParked(options.Handles)
	return &consumer{queue: q, lease: options.Lease, maxPayload: b.config.MaxPayload}, nil
}
