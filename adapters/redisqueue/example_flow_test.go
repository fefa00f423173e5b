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

// complete works the next job of the queue, whose result is its data.
func complete(ctx context.Context, backend *redisqueue.Backend, queue domain.QueueName) error {
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: queue, Worker: "example", Lease: time.Minute})
	if err != nil {
		return err
	}
	leases, err := consumer.Reserve(ctx, 1)
	if err != nil {
		return err
	}
	outcome := domain.Outcome{Kind: domain.Completed, Result: leases[0].Job.Data}
	_, err = consumer.Settle(ctx, []domain.Settlement{{Lease: leases[0].Ref(), Outcome: outcome}}, 0)
	return err
}

// A report is put together when its chapters are written, whoever writes them.
func ExampleBackend_AddFlow() {
	ctx := context.Background()
	server, stop := redistest.Run()
	defer stop()
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.Close() //nolint:errcheck // an example

	added, err := backend.AddFlow(ctx, redisqueue.FlowNode{
		Queue: "reports", Name: "publish",
		Children: []redisqueue.FlowNode{
			{Queue: "chapters", Name: "write", Data: []byte(`"sales"`), Extras: redisqueue.Extras{OnFailure: redisqueue.FailParent}},
			{Queue: "chapters", Name: "write", Data: []byte(`"costs"`), Extras: redisqueue.Extras{OnFailure: redisqueue.IgnoreFailure}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := complete(ctx, backend, "chapters"); err != nil {
		fmt.Println(err)
		return
	}

	flow, err := backend.Flow(ctx, added.Ref(), redisqueue.FlowLimits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(flow.Job.Job.Name, flow.Job.State)
	for _, child := range flow.Children {
		fmt.Println(child.Job.Job.Name, string(child.Job.Job.Data), child.Kind)
	}
	reports, err := backend.Queue("reports")
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := reports.ChildrenValues(ctx, added.ID)
	fmt.Println(string(values[added.Children[0].Ref()]), err)
	// Output:
	// publish waiting-children
	// write "sales" processed
	// write "costs" unprocessed
	// "sales" <nil>
}
