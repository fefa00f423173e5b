package redisqueue_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// An operator looks into a queue, puts one job first, and empties the rest a
// slice at a time.
func ExampleQueue_Jobs() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close() //nolint:errcheck // an example
	queue, err := backend.Queue("mail")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = backend.Enqueue(ctx, domain.NewJob{Queue: "mail", Name: "welcome"}, domain.NewJob{Queue: "mail", Name: "invoice"})
	if err != nil {
		fmt.Println(err)
		return
	}

	jobs, err := queue.Jobs(ctx, redisqueue.JobQuery{States: []domain.State{domain.StateWait}})
	for i := range jobs {
		fmt.Println(jobs[i].Job.ID, jobs[i].Job.Name)
	}
	err = errors.Join(err, queue.ChangePriority(ctx, "2", redisqueue.PriorityChange{LIFO: true}))
	first, errFirst := queue.Jobs(ctx, redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Limit: 1})
	fmt.Println("next:", first[0].Job.Name)

	removed, errDrain := queue.Drain(ctx, redisqueue.DrainOptions{Bulk: redisqueue.Bulk{
		Each: func(ids []domain.JobID) { fmt.Println("gone:", ids) },
	}})
	fmt.Println(removed, "removed", errors.Join(err, errFirst, errDrain))
	// Output:
	// 1 welcome
	// 2 invoice
	// next: invoice
	// gone: [2 1]
	// 2 removed <nil>
}
