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

// A search index is built anew when its documents have been quiet for a minute:
// each change replaces the job that is still delayed.
func ExampleBackend_Enqueue_debounce() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close() //nolint:errcheck // an example
	for change := range 3 {
		results, err := backend.Enqueue(ctx, domain.NewJob{
			Queue: "search", Name: "reindex", Data: fmt.Appendf(nil, `{"change":%d}`, change),
			Options: domain.JobOptions{
				Delay:         time.Minute,
				Deduplication: domain.Deduplication{Key: "reindex", Mode: domain.DedupDebounce, TTL: time.Minute},
			},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(results[0].Status, results[0].ID)
	}
	jobs, err := backend.Jobs(ctx, "search", domain.JobFilter{State: domain.StateDelayed})
	for _, job := range jobs {
		fmt.Println(job.Job.ID, string(job.Job.Data))
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// accepted 1
	// accepted 2
	// accepted 3
	// 3 {"change":2}
}

// While a job is being worked the last of those that come is kept, and follows
// it: no change is missed, and no more than one job waits.
func ExampleBackend_Enqueue_keepLast() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close() //nolint:errcheck // an example
	enqueue := func(data string) {
		results, err := backend.Enqueue(ctx, domain.NewJob{
			Queue: "mirror", Name: "sync", Data: []byte(data),
			Options: domain.JobOptions{Deduplication: domain.Deduplication{Key: "sync", Mode: domain.DedupKeepLast}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(data, results[0].Status)
	}
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mirror", Worker: "example", Lease: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	enqueue("1")
	working, err := consumer.Reserve(ctx, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	enqueue("2")
	enqueue("3")
	reply, err := consumer.Settle(ctx, []domain.Settlement{
		{Lease: working[0].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}},
	}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("then", string(reply.Leases[0].Job.Data))
	// Output:
	// 1 accepted
	// 2 deduplicated
	// 3 deduplicated
	// then 3
}
