package inmemqueue

import (
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

func (q *queue) settle(s *domain.Settlement, now moment) domain.SettleStatus {
	n := q.leased(s.Lease)
	if n == nil {
		return domain.LeaseLost
	}
	outcome := &s.Outcome
	switch outcome.Kind {
	case domain.Completed:
		q.complete(n, outcome, now)
	case domain.Failed:
		n.job.AttemptsMade++
		q.fail(n, outcome, now)
	case domain.Retry:
		n.job.AttemptsMade++
		q.explain(n, outcome)
		q.putOff(n, domain.StateDelayed, outcome, now)
	case domain.Snoozed:
		q.putOff(n, domain.StateDelayed, outcome, now)
	case domain.Parked:
		n.job.Parked++
		q.explain(n, outcome)
		q.putOff(n, domain.StateParked, outcome, now)
	case domain.Returned:
		q.handBack(n)
	case domain.RateLimited:
		q.handBack(n)
		q.limitedUntil = max(q.limitedUntil, now.at.after(outcome.After))
	case domain.WaitingForChildren:
		return domain.Unsupported
	default:
		return domain.Unsupported
	}
	return domain.Settled
}

func (q *queue) complete(n *jobNode, outcome *domain.Outcome, now moment) {
	q.explain(n, &domain.Outcome{})
	q.grow(n, len(outcome.Result)-len(n.result))
	n.result = outcome.Result
	q.finish(n, domain.StateCompleted, now)
}

func (q *queue) fail(n *jobNode, outcome *domain.Outcome, now moment) {
	q.explain(n, outcome)
	q.finish(n, domain.StateFailed, now)
}

// explain keeps why the last attempt ended as it did.
func (q *queue) explain(n *jobNode, outcome *domain.Outcome) {
	if n.more == nil && outcome.Reason == "" && outcome.Stack == "" {
		return
	}
	notes := n.notes()
	q.grow(n, len(outcome.Reason)+len(outcome.Stack)-len(notes.reason)-len(notes.stack))
	notes.reason, notes.stack = outcome.Reason, outcome.Stack
}

func (q *queue) finish(n *jobNode, state domain.State, now moment) {
	q.keys.finished(&n.job)
	q.follow(&n.job, now)
	q.end(n)
	keep := n.job.Options.KeepCompleted
	if state == domain.StateFailed {
		keep = n.job.Options.KeepFailed
	}
	if keep == domain.KeepNone() {
		q.drop(n)
		return
	}
	q.detach(n)
	n.state, n.token, n.finishedAt = state, "", now.at
	list := q.list(state)
	list.pushBack(n)
	q.kept += n.bytes
	q.retain(list, keep, now)
}

func (q *queue) putOff(n *jobNode, state domain.State, outcome *domain.Outcome, now moment) {
	q.detach(n)
	n.token = ""
	if outcome.After <= 0 {
		q.line(n)
		return
	}
	q.delay(n, state, now.at.after(outcome.After))
}

func (q *queue) handBack(n *jobNode) {
	q.detach(n)
	n.token = ""
	q.lineFront(n)
}

// recover takes a job back whose lease ran out.
func (q *queue) recover(n *jobNode, now moment) domain.Recovered {
	n.job.Crashes++
	recovered := domain.Recovered{ID: n.job.ID, Name: n.job.Name, Crashes: n.job.Crashes, Action: domain.Requeued}
	if n.job.Crashes <= domain.MaxCrashes {
		q.handBack(n)
		return recovered
	}
	recovered.Action = domain.Quarantined
	reason := fmt.Sprintf("quarantined: its lease ran out under a worker %d times", n.job.Crashes)
	q.fail(n, &domain.Outcome{Reason: reason}, now)
	return recovered
}

// promoteParked makes parked jobs due that a new consumer has a handler for.
func (q *queue) promoteParked(names []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.parked == 0 || len(names) == 0 {
		return
	}
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	for _, n := range q.inOrder(domain.StateParked) {
		if known[n.job.Name] {
			q.detach(n)
			q.lineBack(n)
		}
	}
	q.turn(q.clock.read())
}
