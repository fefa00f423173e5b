package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Consumer = (*consumer)(nil)

// consumer takes jobs from one queue, as one worker of BullMQ's.
type consumer struct {
	backend *Backend
	queue   domain.QueueName
	worker  string
	lease   time.Duration
	// base is what the names of the queue's keys begin with, meta and parked
	// are two of them.
	base, meta, parked string
	ear                *ear
	own                atomic.Pointer[ownLimit]
	parents            parentReports
	schedules          *lateSchedules

	mu sync.Mutex
	// held are the leases that are not settled yet.
	held map[domain.LeaseRef]*leased
	// leases is how many there have been.
	leases uint64
	// idle are movers that no call uses.
	idle    []*mover
	options optionsCache
	// dry is what the latest call said that left nothing ready, dryAt when it
	// was asked.
	dry   waitFor
	dryAt time.Time
}

// OpenConsumer implements [ports.OpenConsumer]. It does not wait for the
// server: connecting under the worker's name, and making parked jobs due,
// happen beside whatever follows.
func (b *Backend) OpenConsumer(options ports.ConsumerOptions) (ports.Consumer, error) {
	if err := options.Queue.Validate(); err != nil {
		return nil, fmt.Errorf("open consumer: %w", err)
	}
	if options.Lease < time.Millisecond {
		return nil, domain.Invalidf("open consumer of queue %s: lease %s is too short; at least 1ms", options.Queue, options.Lease)
	}
	base := b.keys.queue(options.Queue)
	c := &consumer{
		backend: b, queue: options.Queue, worker: options.Worker, lease: options.Lease,
		base: base, meta: base + "meta", parked: b.keys.parked(options.Queue),
		held: map[domain.LeaseRef]*leased{},
	}
	c.schedules = newLateSchedules(c)
	name := ClientName(b.config.Prefix, options.Queue, options.Worker)
	c.ear = newEar(NewBlockingClient(b.config.Connection, b.config.Prefix, name), base+"marker", b.failures)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = c.ear.close()
		return nil, fmt.Errorf("open consumer of queue %s: %w", options.Queue, ports.ErrClosed)
	}
	c.own.Store(newOwnLimit(b.limits[options.Queue]))
	b.consumers = append(b.consumers, c)
	c.ear.start(func(ctx context.Context) {
		c.ear.show(ctx)
		c.unpark(ctx, options.Handles)
	})
	return c, nil
}

// Reserve implements [ports.Consumer]. It fetches, and sleeps on BullMQ's
// marker while there is nothing, two seconds at most at a time.
func (c *consumer) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	if limit < 1 {
		return nil, domain.Invalidf("reserve: limit %d is not positive", limit)
	}
	wait, dry := c.takeDry()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var reply moved
		var err error
		if dry {
			reply, err = c.await(ctx, limit, wait)
		} else {
			reply, err = c.move(ctx, nil, limit)
		}
		if err != nil {
			return nil, ended(ctx, err)
		}
		if len(reply.leases) > 0 {
			return reply.leases, nil
		}
		wait, dry = reply.wait, true
	}
}

// ended returns ctx's own error if that is why a call failed.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ports.ErrClosed) {
		return ctx.Err()
	}
	return err
}

// maxMoved is how many settlements or leases one call carries.
const maxMoved = 50

// Settle implements [ports.Consumer]. More than 50 settlements are written in
// several calls.
func (c *consumer) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	if err := ctx.Err(); err != nil {
		return domain.SettleReply{}, err
	}
	var statuses []domain.SettleStatus
	var instead map[int]domain.Outcome
	for len(settlements) > maxMoved {
		reply, err := c.settleSome(ctx, settlements[:maxMoved], 0)
		if err != nil {
			return domain.SettleReply{}, ended(ctx, err)
		}
		instead = joinInstead(instead, reply.Instead, len(statuses))
		statuses = append(statuses, reply.Statuses...)
		settlements = settlements[maxMoved:]
	}
	reply, err := c.settleSome(ctx, settlements, limit)
	if err != nil {
		return domain.SettleReply{}, ended(ctx, err)
	}
	if statuses != nil {
		reply.Instead = joinInstead(instead, reply.Instead, len(statuses))
		reply.Statuses = append(statuses, reply.Statuses...)
	}
	return reply, nil
}

// joinInstead adds the outcomes of a call whose settlements begin at first.
func joinInstead(all, some map[int]domain.Outcome, first int) map[int]domain.Outcome {
	if all == nil && len(some) > 0 {
		all = map[int]domain.Outcome{}
	}
	for place, outcome := range some {
		all[first+place] = outcome
	}
	return all
}

// settleSome settles one call's worth. Jobs that cannot complete because of
// their children fail, or are tried again, in a second call.
func (c *consumer) settleSome(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	moved, err := c.move(ctx, settlements, limit)
	if err != nil {
		return domain.SettleReply{}, err
	}
	reply := domain.SettleReply{Statuses: moved.statuses, Leases: moved.leases}
	var again []domain.Settlement
	var places []int
	for i, code := range moved.codes {
		if outcome, refused := c.childrenOutcome(&settlements[i], code); refused {
			again = append(again, domain.Settlement{Lease: settlements[i].Lease, Outcome: outcome})
			places = append(places, i)
		}
	}
	if len(again) == 0 {
		return reply, nil
	}
	second, err := c.move(ctx, again, 0)
	if err != nil {
		// The first call is done, and its leases are the caller's. The jobs
		// that are left count as lost, and come back when their leases run out.
		c.backend.config.Log.WarnContext(ctx, "outcomes of parents not written", "queue", c.queue, "count", len(again), "err", err)
		for _, place := range places {
			reply.Statuses[place] = domain.LeaseLost
		}
		return reply, nil
	}
	reply.Instead = map[int]domain.Outcome{}
	for i, place := range places {
		reply.Statuses[place] = second.statuses[i]
		reply.Instead[place] = again[i].Outcome
	}
	return reply, nil
}

func (c *consumer) heldLease(ref domain.LeaseRef) *leased {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[ref]
}

// closePatience bounds what a consumer still asks of the server as it closes.
const closePatience = time.Second

func (c *consumer) close() error {
	c.mu.Lock()
	movers := c.idle
	c.idle = nil
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	for _, m := range movers {
		if err := c.resolve(ctx, m); err != nil {
			c.notReturned(ctx, err)
		}
		c.backend.sessions.put(m.session)
	}
	c.schedules.close(ctx)
	return c.ear.close()
}

// leaseToken is the token of all leases of one call: each acquisition of a job
// has a new one.
func leaseToken(m *mover, number string) domain.LeaseToken {
	return domain.LeaseToken(m.session.id + ":" + number)
}
