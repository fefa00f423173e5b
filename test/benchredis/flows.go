package main

import (
	"context"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/figures"
)

const (
	// flowJobs is how many jobs a flow has, flowParents how many of them have
	// both a parent and children.
	flowJobs    = 1000
	flowParents = 9
	// flows is how many are added in a turn.
	flows = 20
)

// measureFlows lets the producers add flows of a thousand jobs.
func (b *bench) measureFlows(ctx context.Context) ([]figures.Figure, error) {
	d, err := b.duel(ctx, b.options.rounds, b.addFlows)
	if err != nil {
		return nil, err
	}
	all := d.both("a flow of 1,000 jobs, p50", "ms", figures.AtMost(60), latencyAt(50))
	all = append(all, d.both("a flow of 1,000 jobs, p99", "ms", nil, latencyAt(99))...)
	return append(all, d.both("Redis processor time a job", "µs", nil, redisCPUOf)...), nil
}

func (b *bench) addFlows(ctx context.Context, s side) (turn, error) {
	what := b.server.spec(flows * flowJobs)
	what.Flow, what.Warm = flowJobs, flowJobs
	return b.producing(ctx, s, what)
}

// addFlows adds the jobs in flows, one after the other, and returns how many ms
// each took.
func addFlows(ctx context.Context, to *redisqueue.Backend, what spec) ([]float64, error) {
	var took []float64
	for left := what.Jobs; left > 0; left -= what.Flow {
		flow := newFlow(what)
		began := time.Now()
		if _, err := to.AddFlow(ctx, flow); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began).Seconds()*1000)
	}
	return took, nil
}

// newFlow returns a flow whose root has children that have children.
func newFlow(what spec) redisqueue.FlowNode {
	job := func() redisqueue.FlowNode {
		return redisqueue.FlowNode{Queue: domain.QueueName(what.Queue), Name: what.Name, Data: newPayload(what.Bytes, 0)}
	}
	root := job()
	for range flowParents {
		parent := job()
		for range (what.Flow - 1 - flowParents) / flowParents {
			parent.Children = append(parent.Children, job())
		}
		root.Children = append(root.Children, parent)
	}
	return root
}

// warm adds jobs as those that are measured will be.
func warm(ctx context.Context, backend *redisqueue.Backend, what spec) error {
	if what.Flow == 0 {
		return addBulk(ctx, backend, what)
	}
	_, err := addFlows(ctx, backend, what)
	return err
}
