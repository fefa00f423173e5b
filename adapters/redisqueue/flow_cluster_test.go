package redisqueue_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// All queues of a backend are in one slot of a cluster, and so are their flows.
func TestAFlowIsWorkedInACluster(t *testing.T) {
	t.Parallel()
	b := openCluster(t, redistest.StartCluster(t, 3), nil)
	child := leaf("child")
	child.Queue, child.Data = "parts", []byte(`7`)
	pruned := leaf("pruned")
	pruned.Queue, pruned.Options.Delay = "parts", time.Hour
	if _, err := b.AddFlow(t.Context(), tree("root", child, pruned)); err != nil {
		t.Fatal(err)
	}
	work := func(queue domain.QueueName) {
		t.Helper()
		c, err := b.OpenConsumer(ports.ConsumerOptions{Queue: queue, Worker: "w", Lease: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		leases := reserve(t, c, 1)
		settleOne(t, c, &leases[0], domain.Outcome{Kind: domain.Completed, Result: leases[0].Job.Data})
	}
	work("parts")
	queue, err := b.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	if removed, err := queue.RemoveUnprocessedChildren(t.Context(), "root"); err != nil || len(removed) != 1 {
		t.Errorf("RemoveUnprocessedChildren = %v, %v, want the delayed child", removed, err)
	}
	values, err := queue.ChildrenValues(t.Context(), "root")
	if err != nil || string(values[redisqueue.JobRef{Queue: "parts", ID: "child"}]) != "7" {
		t.Errorf("ChildrenValues = %v, %v, want the child's", values, err)
	}
	work("q")
	flow, err := b.Flow(t.Context(), ref("root"), redisqueue.FlowLimits{})
	if err != nil || flow.Job.State != domain.StateCompleted || len(flow.Children) != 1 {
		t.Errorf("Flow = %+v, %v, want it completed with one child", flow, err)
	}
}
