package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// workOne takes one job of the queue mail and ends it.
func workOne(backend *redisqueue.Backend, outcome domain.Outcome) {
	ctx := context.Background()
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		panic(err)
	}
	leases, err := consumer.Reserve(ctx, 1)
	if err != nil {
		panic(err)
	}
	if _, err := consumer.Settle(ctx, []domain.Settlement{{Lease: leases[0].Ref(), Outcome: outcome}}, 0); err != nil {
		panic(err)
	}
}

// What happens to a queue is read as it happens, or from any event on that the
// stream still holds.
func ExampleQueue_Events() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		panic(err)
	}
	defer backend.Close() //nolint:errcheck // the example is over
	mail, err := backend.Queue("mail")
	if err != nil {
		panic(err)
	}
	start, err := mail.LastEvent(ctx)
	if err != nil {
		panic(err)
	}
	if _, err := backend.Enqueue(ctx, domain.NewJob{Queue: "mail", Name: "send"}); err != nil {
		panic(err)
	}
	workOne(backend, domain.Outcome{Kind: domain.Completed, Result: []byte(`{"sent":true}`)})

	for event, err := range mail.Events(ctx, start) {
		if lost, is := errors.AsType[*redisqueue.EventsLostError](err); is {
			fmt.Println("the stream was trimmed after", lost.After)
			continue
		}
		if err != nil {
			panic(err)
		}
		switch e := event.Detail.(type) {
		case redisqueue.EventAdded:
			fmt.Println("job", e.Job, "is there:", e.Name)
		case redisqueue.EventActive:
			fmt.Println("a worker has it")
		case redisqueue.EventCompleted:
			fmt.Println("it returned", string(e.Result))
		case redisqueue.EventDrained:
			fmt.Println("nothing is left to do")
		}
		if event.Name == "drained" {
			break
		}
	}
	// Output:
	// job 1 is there: send
	// a worker has it
	// it returned {"sent":true}
	// nothing is left to do
}

// A program that needs the result of a job waits for it, whoever works the
// queue.
func ExampleQueue_WaitUntilFinished() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		panic(err)
	}
	defer backend.Close() //nolint:errcheck // the example is over
	mail, err := backend.Queue("mail")
	if err != nil {
		panic(err)
	}
	for _, outcome := range []domain.Outcome{
		{Kind: domain.Completed, Result: []byte(`{"sent":true}`)},
		{Kind: domain.Failed, Reason: "no such mailbox"},
	} {
		added, err := backend.Enqueue(ctx, domain.NewJob{Queue: "mail", Name: "send"})
		if err != nil {
			panic(err)
		}
		var worker sync.WaitGroup
		worker.Go(func() { workOne(backend, outcome) })
		result, err := mail.WaitUntilFinished(ctx, added[0].ID)
		worker.Wait()
		if failed, is := errors.AsType[*redisqueue.JobFailedError](err); is {
			fmt.Println("job", failed.ID, "failed:", failed.Reason)
			continue
		}
		fmt.Println(string(result), err)
	}
	// Output:
	// {"sent":true} <nil>
	// job 2 failed: no such mailbox
}
