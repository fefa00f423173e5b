package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// A scheduler of BullMQ makes jobs in an interval or by a pattern. Workers of
// Node and of Takt keep it going.
func ExampleQueue_UpsertScheduler() {
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
	ctx := context.Background()

	state, err := mail.UpsertScheduler(ctx, redisqueue.Scheduler{
		ID: "digest", Pattern: "30 7 * * 1-5", Zone: "Europe/Berlin",
		StartDate: time.Date(2099, time.January, 1, 0, 0, 0, 0, time.UTC),
		Template: redisqueue.Template{
			Name: "send", Data: []byte(`{"kind":"digest"}`), Options: domain.JobOptions{Attempts: 3},
		},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(state.Next.UTC(), state.Pending, state.Iterations)

	// What BullMQ 5 and 6 would read differently is refused.
	_, err = mail.UpsertScheduler(ctx, redisqueue.Scheduler{ID: "weekly", Pattern: "0 9 * * mon,1"})
	fmt.Println(err)

	all, err := mail.Schedulers(ctx, redisqueue.SchedulerRange{Ascending: true})
	if err != nil {
		panic(err)
	}
	for _, scheduler := range all {
		fmt.Println(scheduler.ID, scheduler.Pattern, scheduler.Template.Name)
	}
	removed, err := mail.RemoveScheduler(ctx, "digest")
	fmt.Println(removed, err)
	// Output:
	// 2099-01-01 06:30:00 +0000 UTC repeat:digest:4070932200000 1
	// upsert scheduler: scheduler "weekly": pattern: day of week "mon,1": it lists 1 twice, which BullMQ 6 refuses; list it once
	// digest 30 7 * * 1-5 send
	// true <nil>
}
