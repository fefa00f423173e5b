package inmemqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// idsAtOnce is how many ids share one allocation. A job that stays long pins
// the ids it was made with, some 300 bytes at most.
const idsAtOnce = 16

// Enqueue adds the jobs in order, on whatever queues, and answers each.
// Nothing is added when it returns an error. Jobs that are refused for their
// receipt, id or deduplication key, in this order, take no room.
func (b *Backend) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range jobs {
		if err := jobs[i].Validate(b.config.MaxPayload); err != nil {
			return nil, fmt.Errorf("enqueue: %w", err)
		}
	}
	e, err := b.beginEnqueue(jobs)
	if err != nil {
		return nil, fmt.Errorf("enqueue: %w", err)
	}
	defer e.end()
	for _, q := range e.queues {
		if err := e.checkRoom(q); err != nil {
			return nil, fmt.Errorf("enqueue %d jobs on %s: %w", len(jobs), q.name, err)
		}
	}
	return e.run(), nil
}

// enqueue is one call of Enqueue. It holds the mutexes of its queues, taken
// in the order of their names, and that of the receipts if it needs them.
type enqueue struct {
	jobs []domain.NewJob
	// receipts is nil if no job of the call has one.
	receipts *receiptBook
	queues   []*queue
	now      moment
	// ids are numbers of the queue idsOf, put together and not used yet.
	ids   string
	idsOf *queue
}

func (b *Backend) beginEnqueue(jobs []domain.NewJob) (enqueue, error) {
	e := enqueue{jobs: jobs}
	for i := range jobs {
		if jobs[i].Receipt != "" {
			e.receipts = &b.receipts
		}
		if i > 0 && jobs[i].Queue == jobs[i-1].Queue {
			continue
		}
		q, err := b.queue(jobs[i].Queue)
		if err != nil {
			return enqueue{}, err
		}
		e.queues = append(e.queues, q)
	}
	if len(e.queues) > 1 {
		slices.SortFunc(e.queues, func(a, b *queue) int { return strings.Compare(string(a.name), string(b.name)) })
		e.queues = slices.Compact(e.queues)
	}
	for _, q := range e.queues {
		q.mu.Lock()
	}
	e.receipts.lock()
	e.now = b.clock.read()
	if slices.ContainsFunc(e.queues, func(q *queue) bool { return q.closed }) {
		e.end()
		return enqueue{}, ports.ErrClosed
	}
	e.receipts.expire(e.now.at)
	for _, q := range e.queues {
		q.advance(e.now)
	}
	return e, nil
}

// end unlocks what the call holds, and tells of jobs that it ended.
func (e *enqueue) end() {
	e.receipts.unlock()
	var over []string
	for _, q := range e.queues {
		over, q.over = append(over, q.over...), nil
		q.mu.Unlock()
	}
	if len(over) > 0 {
		e.queues[0].ended(over)
	}
}

// run adds the jobs, for which there is room.
func (e *enqueue) run() []domain.EnqueueResult {
	results := make([]domain.EnqueueResult, len(e.jobs))
	var q *queue
	for i := range e.jobs {
		job := &e.jobs[i]
		if q == nil || q.name != job.Queue {
			q = e.queueOf(job.Queue)
		}
		if results[i] = q.refusal(job, e.receipts); results[i].Status != 0 {
			if results[i].Status == domain.Deduplicated {
				e.deduplicate(q, job, len(e.jobs)-i)
			}
			continue
		}
		id := job.Options.ID
		if id == "" {
			id = e.nextID(q, len(e.jobs)-i)
		}
		q.makeWay(job.Options.Deduplication)
		q.add(q.newNode(job, id, e.now), e.now)
		e.receipts.write(job.Receipt, id, e.now.at)
		results[i] = domain.EnqueueResult{Status: domain.Accepted, ID: id}
	}
	for _, q := range e.queues {
		q.trim()
		q.turn(e.now)
	}
	return results
}

func (q *queue) newNode(job *domain.NewJob, id domain.JobID, now moment) *jobNode {
	n := &jobNode{job: domain.Job{
		ID: id, Queue: job.Queue, Name: job.Name, Data: job.Data, Options: job.Options, CreatedAt: now.wall,
	}}
	if job.Receipt != "" && q.ended != nil {
		n.notes().receipt = job.Receipt
	}
	return n
}

func (e *enqueue) queueOf(name domain.QueueName) *queue {
	for _, q := range e.queues {
		if q.name == name {
			return q
		}
	}
	return nil
}

// nextID returns the next number of the queue. The numbers of a call are cut
// from one string.
func (e *enqueue) nextID(q *queue, left int) domain.JobID {
	if e.idsOf != q || e.ids == "" {
		e.ids, e.idsOf = q.formatIDs(min(left, idsAtOnce)), q
	}
	q.lastID++
	width := 1
	for n := q.lastID; n >= 10; n /= 10 {
		width++
	}
	id := e.ids[:width]
	e.ids = e.ids[width:]
	return domain.JobID(id)
}

func (q *queue) formatIDs(n int) string {
	var buffer [idsAtOnce * 20]byte
	text := buffer[:0]
	for i := range n {
		text = strconv.AppendUint(text, q.lastID+uint64(i)+1, 10)
	}
	return string(text)
}

// refusal answers a job that is not to be added; the zero answer lets it in.
func (q *queue) refusal(job *domain.NewJob, receipts *receiptBook) domain.EnqueueResult {
	if id, known := receipts.job(job.Receipt); known {
		return domain.EnqueueResult{Status: domain.ReceiptKnown, ID: id}
	}
	if job.Options.ID != "" && q.jobs[job.Options.ID] != nil {
		return domain.EnqueueResult{Status: domain.DuplicateID, ID: job.Options.ID}
	}
	d := job.Options.Deduplication
	if owner, held := q.keys.owner(d.Key); held && q.delayedOwner(d) == nil {
		return domain.EnqueueResult{Status: domain.Deduplicated, ID: owner}
	}
	return domain.EnqueueResult{}
}
