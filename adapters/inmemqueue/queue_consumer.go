package inmemqueue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// consumer takes jobs from one queue. It has no state of its own.
type consumer struct {
	queue      *queue
	lease      time.Duration
	maxPayload int
}

// Reserve blocks until jobs are leased, ctx ends or the backend is closed.
// Calls that wait are served in the order in which they came and share what
// becomes workable.
func (c *consumer) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	if limit < 1 {
		return nil, domain.Invalidf("reserve: limit %d is not positive", limit)
	}
	return c.queue.reserve(ctx, limit, c.lease)
}

// Settle writes the outcomes. Consumers that wait in Reserve come before this
// one when the outcomes make jobs workable.
func (c *consumer) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	q := c.queue
	now, err := q.enter(ctx)
	if err != nil {
		return domain.SettleReply{}, err
	}
	defer q.leave()
	statuses := make([]domain.SettleStatus, len(settlements))
	for i := range settlements {
		statuses[i] = q.settle(&settlements[i], now)
	}
	q.trim()
	q.turn(now)
	return domain.SettleReply{Statuses: statuses, Leases: q.lease(limit, c.lease, now)}, nil
}

// Extend renews the leases for the consumer's lease time.
func (c *consumer) Extend(ctx context.Context, leases []domain.LeaseRef) ([]domain.LeaseRef, error) {
	q := c.queue
	now, err := q.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer q.mu.Unlock()
	var lost []domain.LeaseRef
	for _, lease := range leases {
		if n := q.leased(lease); n != nil {
			n.leaseEnd = now.at.after(c.lease)
		} else {
			lost = append(lost, lease)
		}
	}
	return lost, nil
}

// Recover takes back the jobs whose leases ran out, longest leased first.
func (c *consumer) Recover(ctx context.Context) ([]domain.Recovered, error) {
	q := c.queue
	now, err := q.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer q.leave()
	var recovered []domain.Recovered
	// From the back, so that the first of the front is in front again.
	for n := q.active.back; n != nil; {
		previous := n.prev
		if n.leaseEnd <= now.at {
			recovered = append(recovered, q.recover(n, now))
		}
		n = previous
	}
	slices.Reverse(recovered)
	q.trim()
	q.turn(now)
	return recovered, nil
}

// maxLog is how many lines of a job's log are kept, the newest.
const maxLog = 1000

// Annotate writes the notes. Nothing is written when it returns an error;
// progress or data over the limit of payloads is [domain.ErrTooLarge].
func (c *consumer) Annotate(ctx context.Context, notes []domain.Note) ([]domain.LeaseRef, error) {
	for i := range notes {
		if size := max(len(notes[i].Data), len(notes[i].Progress)); size > c.maxPayload {
			return nil, fmt.Errorf("annotate job %s: %d bytes, at most %d are allowed: %w",
				domain.Quote(string(notes[i].Lease.ID)), size, c.maxPayload, domain.ErrTooLarge)
		}
	}
	q := c.queue
	if _, err := q.enter(ctx); err != nil {
		return nil, err
	}
	defer q.mu.Unlock()
	var lost []domain.LeaseRef
	for i := range notes {
		if n := q.leased(notes[i].Lease); n != nil {
			q.annotate(n, &notes[i])
		} else {
			lost = append(lost, notes[i].Lease)
		}
	}
	q.trim()
	return lost, nil
}

func (q *queue) annotate(n *jobNode, note *domain.Note) {
	notes := n.notes()
	if note.Progress != nil {
		q.grow(n, len(note.Progress)-len(notes.progress))
		notes.progress = slices.Clone(note.Progress)
	}
	if note.Data != nil {
		q.grow(n, len(note.Data)-len(n.job.Data))
		n.job.Data = slices.Clone(note.Data)
	}
	for _, line := range note.Log {
		q.grow(n, len(line))
		notes.log = append(notes.log, line)
	}
	if over := len(notes.log) - maxLog; over > 0 {
		for _, line := range notes.log[:over] {
			q.grow(n, -len(line))
		}
		notes.log = slices.Clone(notes.log[over:])
	}
}

// leased returns the job under the lease, or nil if the lease is lost.
func (q *queue) leased(lease domain.LeaseRef) *jobNode {
	n := q.jobs[lease.ID]
	if n == nil || n.state != domain.StateActive || n.token != lease.Token {
		return nil
	}
	return n
}
