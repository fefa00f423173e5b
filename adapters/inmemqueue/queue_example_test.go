package inmemqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// work leases up to ten jobs of the queue without waiting, completes them
// and prints their names.
func work(consumer ports.Consumer) {
	ctx := context.Background()
	reply, err := consumer.Settle(ctx, nil, 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	if len(reply.Leases) == 0 {
		fmt.Println("nothing to do")
	}
	for _, lease := range reply.Leases {
		fmt.Println("worked:", lease.Job.Name)
		done := domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
		if _, err := consumer.Settle(ctx, []domain.Settlement{done}, 0); err != nil {
			fmt.Println(err)
		}
	}
}

func mails(backend *inmemqueue.Backend) ports.Consumer {
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "example", Lease: time.Minute, Handles: []string{"welcome"}})
	if err != nil {
		fmt.Println(err)
	}
	return consumer
}

func mail(name string, options domain.JobOptions) domain.NewJob {
	return domain.NewJob{Queue: "mail", Name: name, Data: []byte(`{}`), Options: options}
}

func Example() {
	backend := inmemqueue.New(inmemqueue.Config{})
	results, err := backend.Enqueue(context.Background(), mail("welcome", domain.JobOptions{}), mail("invoice", domain.JobOptions{}))
	fmt.Println(results[0].Status, results[1].Status, err)
	work(mails(backend))
	// Output:
	// accepted accepted <nil>
	// worked: welcome
	// worked: invoice
}

// Jobs without a priority come first, then those with the smallest number.
func ExampleBackend_Enqueue_priorities() {
	backend := inmemqueue.New(inmemqueue.Config{})
	_, err := backend.Enqueue(context.Background(),
		mail("newsletter", domain.JobOptions{Priority: 10}),
		mail("invoice", domain.JobOptions{Priority: 1}),
		mail("welcome", domain.JobOptions{}),
		mail("password reset", domain.JobOptions{LIFO: true}),
	)
	fmt.Println(err)
	work(mails(backend))
	// Output:
	// <nil>
	// worked: password reset
	// worked: welcome
	// worked: invoice
	// worked: newsletter
}

func ExampleBackend_Enqueue_delays() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	backend := inmemqueue.New(inmemqueue.Config{Now: func() time.Time { return now }})
	if _, err := backend.Enqueue(context.Background(), mail("reminder", domain.JobOptions{Delay: time.Hour})); err != nil {
		fmt.Println(err)
	}
	consumer := mails(backend)
	work(consumer)
	now = now.Add(time.Hour)
	work(consumer)
	// Output:
	// nothing to do
	// worked: reminder
}

// The first job holds the key until it is finished.
func ExampleBackend_Enqueue_deduplication() {
	backend := inmemqueue.New(inmemqueue.Config{})
	digest := mail("digest", domain.JobOptions{Deduplication: domain.Deduplication{Key: "digest of ann"}})
	for range 2 {
		results, err := backend.Enqueue(context.Background(), digest)
		fmt.Println(results[0].Status, results[0].ID, err)
	}
	work(mails(backend))
	results, err := backend.Enqueue(context.Background(), digest)
	fmt.Println(results[0].Status, results[0].ID, err)
	// Output:
	// accepted 1 <nil>
	// deduplicated 1 <nil>
	// worked: digest
	// accepted 2 <nil>
}

func ExampleBackend_Apply() {
	backend := inmemqueue.New(inmemqueue.Config{})
	ctx := context.Background()
	consumer := mails(backend)
	for _, kind := range []domain.OperationKind{domain.OpPause, domain.OpResume} {
		if _, err := backend.Apply(ctx, "mail", domain.Operation{Kind: kind}); err != nil {
			fmt.Println(err)
		}
		if _, err := backend.Enqueue(ctx, mail("after "+string(kind), domain.JobOptions{})); err != nil {
			fmt.Println(err)
		}
		work(consumer)
	}
	// Output:
	// nothing to do
	// worked: after pause
	// worked: after resume
}

// A job that no handler knew waits until a worker opens the queue that has one.
func ExampleBackend_OpenConsumer_parked() {
	backend := inmemqueue.New(inmemqueue.Config{})
	ctx := context.Background()
	consumer := mails(backend)
	if _, err := backend.Enqueue(ctx, mail("welcome", domain.JobOptions{})); err != nil {
		fmt.Println(err)
	}
	leases, err := consumer.Reserve(ctx, 1)
	if err != nil {
		fmt.Println(err)
	}
	park := domain.Settlement{Lease: leases[0].Ref(), Outcome: domain.Outcome{Kind: domain.Parked, After: domain.ParkDelay(0), Reason: "no handler"}}
	if _, err := consumer.Settle(ctx, []domain.Settlement{park}, 0); err != nil {
		fmt.Println(err)
	}
	parked, err := backend.Jobs(ctx, "mail", domain.JobFilter{State: domain.StateParked})
	fmt.Println("parked:", parked[0].Job.Name, err)
	work(consumer)
	work(mails(backend))
	// Output:
	// parked: welcome <nil>
	// nothing to do
	// worked: welcome
}
