package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// A supplier takes two requests at a time: the limit is kept with the queue, and
// holds for all workers, Node's as well.
func ExampleBackend_LimitConcurrency() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close() //nolint:errcheck // an example
	if err := backend.LimitConcurrency(ctx, "orders", 2); err != nil {
		fmt.Println(err)
		return
	}
	jobs := make([]domain.NewJob, 5)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: "orders", Name: "order"}
	}
	if _, err := backend.Enqueue(ctx, jobs...); err != nil {
		fmt.Println(err)
		return
	}
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "orders", Worker: "example", Lease: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	leases, err := consumer.Reserve(ctx, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	limits, err := backend.Limits(ctx, "orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(leases), "of", len(jobs), "jobs; full:", limits.Full())
	// Output:
	// 2 of 5 jobs; full: true
}

// The supplier asks for a pause: no worker starts a job for half a minute, unless
// the hold is ended before. Later, ten requests a second are fine.
func ExampleBackend_Hold() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close() //nolint:errcheck // an example
	show := func() {
		limits, err := backend.Limits(ctx, "orders")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("held:", limits.HeldFor > 0, "rate:", limits.Rate.Max, "in", limits.Rate.Per)
	}
	for _, change := range []func() error{
		func() error { return backend.Hold(ctx, "orders", 30*time.Second) },
		func() error { return backend.Hold(ctx, "orders", 0) },
		func() error { return backend.LimitRate(ctx, "orders", domain.Rate{Max: 10, Per: time.Second}) },
	} {
		if err := change(); err != nil {
			fmt.Println(err)
			return
		}
		show()
	}
	// Output:
	// held: true rate: 0 in 0s
	// held: false rate: 0 in 0s
	// held: false rate: 10 in 1s
}
