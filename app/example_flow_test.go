package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/redistest"
)

// Orders are packed in parts: the handler of an order adds a child for each of
// them, waits for them, and sums up what they returned.
type Orders struct {
	bullmq *app.BullMQ
	done   chan struct{}
}

// boxesOf is how many boxes an order takes.
const boxesOf = 3

func (o *Orders) pack(ctx context.Context, job app.Job[Order]) (any, error) {
	backend, ok := o.bullmq.Backend()
	if !ok {
		return nil, app.Permanent(errors.New("orders need queues in Redis"))
	}
	queue, err := backend.Queue(job.Queue)
	if err != nil {
		return nil, err
	}
	boxes, err := queue.ChildrenValues(ctx, job.ID)
	if err != nil {
		return nil, err
	}
	// Fewer results than there must be: the handler is called for the first
	// time, or was interrupted.
	if len(boxes) < boxesOf {
		return nil, o.split(ctx, backend, &job)
	}
	defer close(o.done)
	sum := 0
	for _, text := range boxes {
		var n int
		if err := json.Unmarshal(text, &n); err != nil {
			return nil, err
		}
		sum += n
	}
	fmt.Println("order", job.Data.Number, "is in", sum, "boxes; attempts charged:", job.AttemptsMade)
	return sum, nil
}

// split adds the children of an order, all in one step. Their ids follow from
// the order's: however often the handler is called, each is worked once.
func (o *Orders) split(ctx context.Context, backend *redisqueue.Backend, order *app.Job[Order]) error {
	parts, err := backend.Queue("parts")
	if err != nil {
		return err
	}
	children := make([]redisqueue.NewJob, boxesOf)
	for i := range children {
		children[i] = redisqueue.NewJob{
			Name: "box", Data: fmt.Appendf(nil, `{"number":%d}`, i),
			Options: domain.JobOptions{ID: domain.JobID(fmt.Sprintf("%s.%d", order.ID, i))},
			Parent:  redisqueue.JobRef{Queue: order.Queue, ID: order.ID},
		}
	}
	if _, err := parts.Add(ctx, children...); err != nil {
		return err
	}
	fmt.Println("order", order.Data.Number, "is split")
	return app.WaitForChildren()
}

func (o *Orders) box(_ context.Context, part app.Job[Order]) (any, error) {
	return part.Data.Number + 1, nil
}

// A handler adds children to its job and waits for them without holding a slot.
func ExampleWaitForChildren() {
	server, stop := redistest.Run()
	defer stop()
	orders := &Orders{done: make(chan struct{})}
	feature := app.Feature("orders", func(bullmq *app.BullMQ) app.Contribution {
		orders.bullmq = bullmq
		return app.Contribution{
			Queues:   []string{"orders", "parts"},
			Handlers: []app.Handler{app.Handle("orders", "pack", orders.pack), app.Handle("parts", "box", orders.box)},
		}
	})
	worker := startWith(app.Settings{Backend: config.BackendRedis, Redis: redisqueue.Connection{Addr: server.Addr}}, feature)
	ctx := context.Background()
	if _, err := worker.Service().Enqueue(ctx, "orders", "pack", Order{Number: 7}); err != nil {
		fmt.Println(err)
		return
	}
	<-orders.done
	worker.Stop(ctx)
	// Output:
	// order 7 is split
	// order 7 is in 6 boxes; attempts charged: 0
}
