package inmemqueue

import (
	"context"
	"fmt"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

// Apply carries out an operation. Without ids a retry or promotion means all
// jobs, a removal none; ids that are not there or in another state are passed
// over. Where a limit applies, the jobs next in line or oldest come first. A
// kind or state that does not go with the operation is [domain.ErrInvalid].
func (b *Backend) Apply(ctx context.Context, queue domain.QueueName, op domain.Operation) ([]domain.JobID, error) {
	if err := checkOperation(&op); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	q, err := b.queue(queue)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.Kind, err)
	}
	now, err := q.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.Kind, err)
	}
	defer q.leave()
	q.turn(now)
	nodes := q.targets(&op, now)
	if op.Limit > 0 && len(nodes) > op.Limit {
		nodes = nodes[:op.Limit]
	}
	var ids []domain.JobID
	for _, n := range nodes {
		ids = append(ids, n.job.ID)
	}
	if !op.DryRun {
		q.carryOut(&op, nodes)
		q.turn(now)
	}
	return ids, nil
}

func checkOperation(op *domain.Operation) error {
	if op.Limit < 0 || op.OlderThan < 0 {
		return domain.Invalidf("limit %d or age %s is negative", op.Limit, op.OlderThan)
	}
	switch op.Kind {
	case domain.OpPause, domain.OpResume, domain.OpRemove, domain.OpRetry, domain.OpPromote:
		return nil
	case domain.OpDrain:
		if op.State == "" || op.State == domain.StateDelayed {
			return nil
		}
		return domain.Invalidf("drain: state %s, only %q can be added", domain.Quote(string(op.State)), domain.StateDelayed)
	case domain.OpClean:
		if knownState(op.State) && op.State != domain.StateActive {
			return nil
		}
		return domain.Invalidf("clean: state %s is unknown or in use", domain.Quote(string(op.State)))
	}
	return domain.Invalidf("operation %s is unknown", domain.Quote(string(op.Kind)))
}

// targets returns the jobs that the operation changes.
func (q *queue) targets(op *domain.Operation, now moment) []*jobNode {
	switch op.Kind {
	case domain.OpRemove:
		return q.byID(op.IDs, func(n *jobNode) bool { return n.state != domain.StateActive })
	case domain.OpRetry:
		if len(op.IDs) > 0 {
			return q.byID(op.IDs, func(n *jobNode) bool { return n.state == domain.StateFailed })
		}
		return q.inOrder(domain.StateFailed)
	case domain.OpPromote:
		if len(op.IDs) > 0 {
			return q.byID(op.IDs, isPutOff)
		}
		return q.putOffInOrder()
	case domain.OpDrain:
		nodes := append(q.inOrder(domain.StateWait), q.inOrder(domain.StatePrioritized)...)
		if op.State == domain.StateDelayed {
			nodes = append(nodes, q.putOffInOrder()...)
		}
		return nodes
	case domain.OpClean:
		return slices.DeleteFunc(q.inOrder(op.State), func(n *jobNode) bool { return n.age(now, q.clock) < op.OlderThan })
	case domain.OpPause, domain.OpResume:
	}
	return nil
}

func (q *queue) putOffInOrder() []*jobNode {
	nodes := slices.Clone([]*jobNode(q.delayed))
	slices.SortFunc(nodes, compareNodes)
	return nodes
}

func isPutOff(n *jobNode) bool {
	return n.state == domain.StateDelayed || n.state == domain.StateParked
}

func (q *queue) byID(ids []domain.JobID, fits func(*jobNode) bool) []*jobNode {
	var nodes []*jobNode
	seen := make(map[domain.JobID]bool, len(ids))
	for _, id := range ids {
		if n := q.jobs[id]; n != nil && !seen[id] && fits(n) {
			nodes = append(nodes, n)
		}
		seen[id] = true
	}
	return nodes
}

func (q *queue) carryOut(op *domain.Operation, nodes []*jobNode) {
	switch op.Kind {
	case domain.OpPause, domain.OpResume:
		q.paused = op.Kind == domain.OpPause
	case domain.OpRetry:
		for _, n := range nodes {
			q.detach(n)
			q.explain(n, &domain.Outcome{})
			n.startedAt, n.finishedAt = 0, 0
			q.line(n)
		}
	case domain.OpPromote:
		for _, n := range nodes {
			q.detach(n)
			q.lineBack(n)
		}
	case domain.OpRemove, domain.OpDrain, domain.OpClean:
		for _, n := range nodes {
			q.loseNext(q.keys.removed(&n.job))
			if n.state != domain.StateCompleted && n.state != domain.StateFailed {
				q.end(n)
			}
			q.drop(n)
		}
	}
}
