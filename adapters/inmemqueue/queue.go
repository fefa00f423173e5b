package inmemqueue

import (
	"container/heap"
	"strconv"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// queue is one named queue. Each of its jobs is in exactly one place: the
// list or heap of its state, and in jobs by its id.
type queue struct {
	name     domain.QueueName
	clock    clock
	maxJobs  int
	maxBytes int
	// ended is [Config.Ended].
	ended func(receipts []string)

	mu     sync.Mutex
	closed bool
	paused bool
	// limitedUntil is when a hold ends.
	limitedUntil instant
	limits       limits

	jobs        map[domain.JobID]*jobNode
	wait        jobList
	prioritized jobHeap
	// delayed holds parked jobs too, parked counts them.
	delayed   jobHeap
	parked    int
	active    jobList
	completed jobList
	failed    jobList
	keys      keyHolds

	// bytes is what all jobs count, kept what the finished ones do.
	bytes, kept int
	// peak is the largest number of jobs since jobs was made.
	peak int

	lastID, lastToken uint64
	lastSeq, firstSeq int64

	// over are receipts of jobs that ended in this call.
	over []string

	waiters []*waiter
	spare   []*waiter
	alarm   alarm
}

func newQueue(name domain.QueueName, c clock, config Config) *queue {
	q := &queue{
		name: name, clock: c, maxJobs: config.MaxJobs, maxBytes: config.MaxBytes, ended: config.Ended,
		jobs: make(map[domain.JobID]*jobNode), keys: keyHolds{most: config.MaxJobs},
	}
	q.alarm.ring = q.wake
	return q
}

// add files a new job.
func (q *queue) add(n *jobNode, now moment) {
	q.jobs[n.job.ID] = n
	q.peak = max(q.peak, len(q.jobs))
	n.bytes = len(n.job.Data)
	q.bytes += n.bytes
	q.keys.take(n.job.Options.Deduplication, n.job.ID, now.at)
	if n.job.Options.Delay > 0 {
		q.delay(n, domain.StateDelayed, now.at.after(n.job.Options.Delay))
		return
	}
	q.line(n)
}

// line puts the node in line as its options say.
func (q *queue) line(n *jobNode) {
	if n.job.Options.LIFO {
		q.lineFront(n)
		return
	}
	q.lineBack(n)
}

// lineBack puts the node behind all of its priority.
func (q *queue) lineBack(n *jobNode) {
	if n.job.Options.Priority > 0 {
		q.lastSeq++
		q.prioritize(n, q.lastSeq)
		return
	}
	n.state = domain.StateWait
	q.wait.pushBack(n)
}

// lineFront puts the node before all of its priority.
func (q *queue) lineFront(n *jobNode) {
	if n.job.Options.Priority > 0 {
		q.firstSeq--
		q.prioritize(n, q.firstSeq)
		return
	}
	n.state = domain.StateWait
	q.wait.pushFront(n)
}

func (q *queue) prioritize(n *jobNode, seq int64) {
	n.state = domain.StatePrioritized
	n.rank, n.seq = int64(n.job.Options.Priority), seq
	heap.Push(&q.prioritized, n)
}

// delay puts the node aside, delayed or parked, until due.
func (q *queue) delay(n *jobNode, state domain.State, due instant) {
	q.lastSeq++
	n.state, n.rank, n.seq = state, int64(due), q.lastSeq
	heap.Push(&q.delayed, n)
	if state == domain.StateParked {
		q.parked++
	}
}

// detach takes the node from the list or heap of its state.
func (q *queue) detach(n *jobNode) {
	switch n.state {
	case domain.StatePrioritized:
		heap.Remove(&q.prioritized, n.index)
	case domain.StateParked:
		q.parked--
		heap.Remove(&q.delayed, n.index)
	case domain.StateDelayed:
		heap.Remove(&q.delayed, n.index)
	case domain.StateCompleted, domain.StateFailed:
		q.kept -= n.bytes
		q.list(n.state).remove(n)
	case domain.StateWait, domain.StateActive, domain.StateWaitingChildren:
		q.list(n.state).remove(n)
	}
}

func (q *queue) list(state domain.State) *jobList {
	switch state {
	case domain.StateActive:
		return &q.active
	case domain.StateCompleted:
		return &q.completed
	case domain.StateFailed:
		return &q.failed
	case domain.StateWait, domain.StatePrioritized, domain.StateDelayed, domain.StateParked, domain.StateWaitingChildren:
	}
	return &q.wait
}

// end notes that the job of the node is over, for those who want to know.
func (q *queue) end(n *jobNode) {
	if n.more != nil && n.more.receipt != "" {
		q.over = append(q.over, n.more.receipt)
	}
}

// leave unlocks the queue after a call that may have ended jobs.
func (q *queue) leave() {
	over := q.over
	q.over = nil
	q.mu.Unlock()
	if len(over) > 0 {
		q.ended(over)
	}
}

// drop removes the node for good.
func (q *queue) drop(n *jobNode) {
	q.detach(n)
	delete(q.jobs, n.job.ID)
	q.bytes -= n.bytes
	// A map never gives storage back by itself.
	if len(q.jobs) == 0 && q.peak > shrinkAbove {
		q.jobs, q.peak = make(map[domain.JobID]*jobNode), 0
	}
}

// grow counts bytes that the node holds more, or less.
func (q *queue) grow(n *jobNode, bytes int) {
	n.bytes += bytes
	q.bytes += bytes
}

// advance lets time act: due jobs get in line, keys that ended are freed.
func (q *queue) advance(now moment) {
	q.keys.expire(now.at)
	for len(q.delayed) > 0 && q.delayed[0].due() <= now.at {
		n := q.delayed[0]
		q.detach(n)
		q.lineBack(n)
	}
	if q.limitedUntil <= now.at {
		q.limitedUntil = 0
	}
	q.limits.advance(now.at)
}

// workable returns how many jobs could be leased now.
func (q *queue) workable() int {
	if q.paused || q.limitedUntil > 0 {
		return 0
	}
	return min(q.wait.len+len(q.prioritized), q.limits.left(q.active.len))
}

// lease leases up to limit jobs for d.
func (q *queue) lease(limit int, d time.Duration, now moment) []domain.Lease {
	limit = min(limit, q.workable())
	if limit <= 0 {
		return nil
	}
	q.limits.started(limit, now.at)
	// One token a batch: it is new to every job in it.
	q.lastToken++
	token := domain.LeaseToken(strconv.FormatUint(q.lastToken, 10))
	leases := make([]domain.Lease, limit)
	for i := range leases {
		n := q.first()
		q.detach(n)
		n.state = domain.StateActive
		q.active.pushBack(n)
		n.token, n.leaseEnd, n.startedAt = token, now.at.after(d), now.at
		n.job.AttemptsStarted++
		leases[i].Job, leases[i].Token, leases[i].For = n.job, token, d
	}
	return leases
}

func (q *queue) first() *jobNode {
	if q.wait.front != nil {
		return q.wait.front
	}
	return q.prioritized[0]
}

func (q *queue) remaining() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.unfinished() + len(q.keys.next)
}

func (q *queue) unfinished() int { return len(q.jobs) - q.completed.len - q.failed.len }
