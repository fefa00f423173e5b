package redisqueue_test

import (
	"errors"
	"strings"
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

// What would reach into another slot is refused before anything is sent, in
// words that say what is wrong.
func TestAFlowDoesNotLeaveItsSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	first, second := apart(t, cluster)
	b := openCluster(t, cluster, func(c *redisqueue.Config) { c.Prefix = first })
	other := openCluster(t, cluster, func(c *redisqueue.Config) { c.Prefix = second })
	if _, err := other.AddFlow(t.Context(), leaf("root")); err != nil {
		t.Fatal(err)
	}
	queue, err := b.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	parent := redisqueue.JobRef{Queue: "q", ID: "root", Prefix: second}
	below := leaf("below")
	below.Parent = parent
	tagged := leaf("tagged")
	tagged.Queue = "{mail}"
	for about, c := range map[string]struct {
		add  func() error
		want string
	}{
		"a child on a queue with a tag of its own": {func() error { _, err := b.AddFlow(t.Context(), tree("root", tagged)); return err }, `"{mail}"`},
		"a flow below a job of another slot":       {func() error { _, err := b.AddFlow(t.Context(), below); return err }, "below another prefix"},
		"a job below a job of another slot": {func() error {
			_, err := queue.Add(t.Context(), redisqueue.NewJob{Name: "n", Parent: parent})
			return err
		}, "below another prefix"},
		"the flow of a job of another slot": {func() error { _, err := b.Flow(t.Context(), parent, redisqueue.FlowLimits{}); return err }, "below another prefix"},
		"a queue with a tag of its own":     {func() error { _, err := b.Queue("{mail}"); return err }, `"{mail}"`},
	} {
		if err := c.add(); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v, want %v with %s", about, err, domain.ErrInvalid, c.want)
		}
	}
	if counts, err := queue.Counts(t.Context()); err != nil || counts != (redisqueue.Counts{}) {
		t.Errorf("Counts = %+v, %v, want nothing written", counts, err)
	}
	// A job of the same id here does not become a part of the flow there.
	if _, err := b.AddFlow(t.Context(), leaf("root")); err != nil {
		t.Errorf("AddFlow = %v, want no error", err)
	}
	flow, err := other.Flow(t.Context(), ref("root"), redisqueue.FlowLimits{})
	if err != nil || len(flow.Children) != 0 {
		t.Errorf("Flow = %+v, %v, want the root alone", flow, err)
	}
}
