package inmemqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

const defaultPage = 100

// Counts returns the counts of the queues, in order; states without jobs are
// left out.
func (b *Backend) Counts(ctx context.Context, queues ...domain.QueueName) ([]domain.QueueCounts, error) {
	counts := make([]domain.QueueCounts, len(queues))
	for i, name := range queues {
		counts[i] = domain.QueueCounts{Queue: name, Jobs: map[domain.State]int{}}
		q, err := b.peek(name)
		if err == nil && q != nil {
			err = q.count(ctx, &counts[i])
		}
		if err != nil {
			return nil, fmt.Errorf("count jobs: %w", err)
		}
	}
	return counts, nil
}

func (q *queue) count(ctx context.Context, counts *domain.QueueCounts) error {
	now, err := q.enter(ctx)
	if err != nil {
		return err
	}
	defer q.mu.Unlock()
	q.turn(now)
	counts.Paused = q.paused
	for state, n := range map[domain.State]int{
		domain.StateWait:        q.wait.len,
		domain.StatePrioritized: len(q.prioritized),
		domain.StateDelayed:     len(q.delayed) - q.parked,
		domain.StateParked:      q.parked,
		domain.StateActive:      q.active.len,
		domain.StateCompleted:   q.completed.len,
		domain.StateFailed:      q.failed.len,
	} {
		if n > 0 {
			counts.Jobs[state] = n
		}
	}
	counts.OldestWaiting = q.oldestWaiting()
	return nil
}

func (q *queue) oldestWaiting() time.Time {
	var oldest time.Time
	see := func(n *jobNode) {
		if oldest.IsZero() || n.job.CreatedAt.Before(oldest) {
			oldest = n.job.CreatedAt
		}
	}
	for n := q.wait.front; n != nil; n = n.next {
		see(n)
	}
	for _, n := range q.prioritized {
		see(n)
	}
	return oldest
}

// Jobs returns the jobs that the filter selects; an id that is not there
// selects none. A filter without id and state is [domain.ErrInvalid].
func (b *Backend) Jobs(ctx context.Context, queue domain.QueueName, filter domain.JobFilter) ([]domain.JobView, error) {
	if filter.ID == "" && !knownState(filter.State) {
		return nil, domain.Invalidf("list jobs: state %s is unknown", domain.Quote(string(filter.State)))
	}
	if filter.Offset < 0 || filter.Limit < 0 {
		return nil, domain.Invalidf("list jobs: offset %d or limit %d is negative", filter.Offset, filter.Limit)
	}
	q, err := b.peek(queue)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	if q == nil {
		return nil, ctx.Err()
	}
	now, err := q.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	defer q.mu.Unlock()
	q.turn(now)
	var views []domain.JobView
	for _, n := range q.selected(filter) {
		views = append(views, n.view(now))
	}
	return views, nil
}

func knownState(state domain.State) bool {
	switch state {
	case domain.StateWait, domain.StatePrioritized, domain.StateDelayed, domain.StateParked, domain.StateActive,
		domain.StateWaitingChildren, domain.StateCompleted, domain.StateFailed:
		return true
	}
	return false
}

func (q *queue) selected(filter domain.JobFilter) []*jobNode {
	if filter.ID != "" {
		if n := q.jobs[filter.ID]; n != nil {
			return []*jobNode{n}
		}
		return nil
	}
	nodes := q.inOrder(filter.State)
	if filter.State == domain.StateCompleted || filter.State == domain.StateFailed {
		slices.Reverse(nodes)
	}
	limit := filter.Limit
	if limit == 0 {
		limit = defaultPage
	}
	nodes = nodes[min(filter.Offset, len(nodes)):]
	return nodes[:min(limit, len(nodes))]
}

// inOrder returns the jobs of the state in the order in which they will be
// worked, were leased, or finished.
func (q *queue) inOrder(state domain.State) []*jobNode {
	var nodes []*jobNode
	switch state {
	case domain.StateWaitingChildren:
	case domain.StatePrioritized:
		nodes = slices.Clone([]*jobNode(q.prioritized))
		slices.SortFunc(nodes, compareNodes)
	case domain.StateDelayed, domain.StateParked:
		for _, n := range q.delayed {
			if n.state == state {
				nodes = append(nodes, n)
			}
		}
		slices.SortFunc(nodes, compareNodes)
	case domain.StateWait, domain.StateActive, domain.StateCompleted, domain.StateFailed:
		for n := q.list(state).front; n != nil; n = n.next {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
