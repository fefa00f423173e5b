package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.Inspector = (*Backend)(nil)

// Counts implements [ports.Inspector]. Each queue is counted in one step; the
// jobs of a paused queue wait, whichever list they are in. The oldest waiting
// job is looked for among those next in line and the first of each priority.
func (b *Backend) Counts(ctx context.Context, queues ...domain.QueueName) ([]domain.QueueCounts, error) {
	counts := make([]domain.QueueCounts, len(queues))
	for i, queue := range queues {
		if err := queue.Validate(); err != nil {
			return nil, fmt.Errorf("count jobs: %w", err)
		}
		base := b.keys.queue(queue)
		reply, err := b.call(ctx, scriptNamed("inspect_counts"), []string{base + "meta", b.keys.parked(queue)}, []any{base})
		if err == nil {
			counts[i], err = readCounts(queue, reply)
		}
		if err != nil {
			return nil, fmt.Errorf("count jobs of queue %s: %w", queue, ended(ctx, err))
		}
	}
	return counts, nil
}

// countedStates are the states in the order in which inspect_counts.lua
// replies with them.
var countedStates = [...]domain.State{ //nolint:gochecknoglobals // a table
	domain.StateWait, domain.StatePrioritized, domain.StateDelayed, domain.StateParked,
	domain.StateActive, domain.StateWaitingChildren, domain.StateCompleted, domain.StateFailed,
}

func readCounts(queue domain.QueueName, reply any) (domain.QueueCounts, error) {
	parts, _ := reply.([]any)
	if len(parts) != len(countedStates)+2 {
		return domain.QueueCounts{}, errReply
	}
	counts := domain.QueueCounts{Queue: queue, Jobs: map[domain.State]int{}}
	for i, state := range countedStates {
		n, ok := parts[i].(int64)
		if !ok {
			return domain.QueueCounts{}, errReply
		}
		if n > 0 {
			counts.Jobs[state] = int(n)
		}
	}
	paused, _ := parts[len(countedStates)].(int64)
	oldest, _ := parts[len(countedStates)+1].(string)
	counts.Paused, counts.OldestWaiting = paused == 1, millisTime(oldest)
	return counts, nil
}

func isState(state domain.State) bool {
	for _, known := range countedStates {
		if state == known {
			return true
		}
	}
	return false
}
