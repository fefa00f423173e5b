package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// relayTarget is the queue that relays deliver to.
type relayTarget struct {
	name  string
	queue ports.Enqueuer
	// volatile tells that relay is told of the jobs that ended.
	volatile bool
	relay    atomic.Pointer[storage.Relay]
	close    func() error
}

// completedAtOnce are the jobs that are completed in one call.
const completedAtOnce = 50

type queueOpener func(ctx context.Context) (*relayTarget, error)

// memoryQueue opens a queue whose jobs are completed as soon as they are there.
func memoryQueue(ctx context.Context) (*relayTarget, error) {
	target := &relayTarget{name: "memory", volatile: true}
	queue := inmemqueue.New(inmemqueue.Config{MaxJobs: 1 << 20, Ended: func(receipts []string) { target.relay.Load().Ended(receipts) }})
	consumer, err := queue.OpenConsumer(ports.ConsumerOptions{Queue: benchQueue, Lease: time.Minute})
	if err != nil {
		return nil, errors.Join(err, queue.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { completeAll(ctx, consumer) })
	target.queue = queue
	target.close = func() error {
		cancel()
		work.Wait()
		return queue.Close()
	}
	return target, nil
}

// completeAll completes jobs until the context ends.
func completeAll(ctx context.Context, consumer ports.Consumer) {
	for {
		leases, err := consumer.Reserve(ctx, completedAtOnce)
		if err != nil {
			return
		}
		settlements := make([]domain.Settlement, len(leases))
		for i := range leases {
			settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
		}
		if _, err := consumer.Settle(ctx, settlements, 0); err != nil {
			return
		}
	}
}

// redisQueue opens a queue in a Redis of its own.
func redisQueue(ctx context.Context) (*relayTarget, error) {
	server, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	queue, err := redisqueue.New(redisqueue.Config{
		Connection: redisqueue.Connection{Addr: server.addr}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, server.stop())
	}
	closing := func() error { return errors.Join(queue.Close(), server.stop()) }
	if err := queue.Await(ctx); err != nil {
		return nil, errors.Join(err, closing())
	}
	return &relayTarget{name: "redis", queue: queue, close: closing}, nil
}
