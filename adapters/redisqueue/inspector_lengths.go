package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

// Counts are how many jobs are in each of BullMQ's lists and sets.
type Counts struct {
	// Wait are the jobs next in line. Paused are those that BullMQ 5 sets
	// aside in a list of their own while the queue is paused; BullMQ 6 leaves
	// them in Wait.
	Wait, Paused int
	Prioritized  int
	// Delayed includes the jobs that Takt has parked.
	Delayed         int
	Active          int
	WaitingChildren int
	Completed       int
	Failed          int
}

// Ahead returns how many jobs are still to be worked: all but the active and
// the finished ones.
func (c Counts) Ahead() int {
	return c.Wait + c.Paused + c.Prioritized + c.Delayed + c.WaitingChildren
}

// Of returns how many jobs are in the states, each taken once. Paused jobs
// wait, and parked ones are delayed.
func (c Counts) Of(states ...domain.State) int {
	by := map[domain.State]int{
		domain.StateWait: c.Wait + c.Paused, domain.StatePrioritized: c.Prioritized, domain.StateDelayed: c.Delayed,
		domain.StateActive: c.Active, domain.StateWaitingChildren: c.WaitingChildren,
		domain.StateCompleted: c.Completed, domain.StateFailed: c.Failed,
	}
	sum := 0
	for _, state := range states {
		if state == domain.StateParked {
			state = domain.StateDelayed
		}
		sum += by[state]
		delete(by, state)
	}
	return sum
}

// Counts returns how many jobs the queue has, all counted in one step. Node's
// getJobCounts, getJobCountByTypes and count say the same.
func (q *Queue) Counts(ctx context.Context) (Counts, error) {
	counts, _, err := q.lengths(ctx, nil)
	if err != nil {
		return Counts{}, fmt.Errorf("count jobs of queue %s: %w", q.name, err)
	}
	return counts, nil
}

// CountsByPriority returns how many ready jobs have each of the priorities;
// zero stands for those without one. The error is [domain.ErrInvalid] for a
// priority that no job can have.
func (q *Queue) CountsByPriority(ctx context.Context, priorities ...int) (map[int]int, error) {
	for _, priority := range priorities {
		if priority < 0 || priority > domain.MaxPriority {
			return nil, domain.Invalidf("count jobs by priority: %d is not between 0 and %d", priority, domain.MaxPriority)
		}
	}
	counts := make(map[int]int, len(priorities))
	for at := 0; at < len(priorities); at += idPage {
		some := priorities[at:min(at+idPage, len(priorities))]
		_, found, err := q.lengths(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("count jobs of queue %s by priority: %w", q.name, err)
		}
		for i, priority := range some {
			counts[priority] = found[i]
		}
	}
	return counts, nil
}

// lengths counts what is in the lists and sets, and of each priority.
func (q *Queue) lengths(ctx context.Context, priorities []int) (Counts, []int, error) {
	args := make([]any, 0, 1+len(priorities))
	args = append(args, q.base)
	for _, priority := range priorities {
		args = append(args, priority)
	}
	reply, err := q.backend.call(ctx, scriptNamed("inspect_lengths"), []string{q.base + "meta"}, args)
	if err != nil {
		return Counts{}, nil, ended(ctx, err)
	}
	numbers, err := wholeNumbers(reply)
	const places = 8
	if err != nil || len(numbers) != places+len(priorities) {
		return Counts{}, nil, errReply
	}
	return Counts{
		Wait: numbers[0], Paused: numbers[1], Prioritized: numbers[2], Delayed: numbers[3], Active: numbers[4],
		WaitingChildren: numbers[5], Completed: numbers[6], Failed: numbers[7],
	}, numbers[places:], nil
}

// wholeNumbers reads a reply that is a list of them.
func wholeNumbers(reply any) ([]int, error) {
	parts, _ := reply.([]any)
	numbers := make([]int, len(parts))
	for i, part := range parts {
		n, ok := part.(int64)
		if !ok {
			return nil, errReply
		}
		numbers[i] = int(n)
	}
	return numbers, nil
}
