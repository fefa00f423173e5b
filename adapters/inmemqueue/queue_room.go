package inmemqueue

import (
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// checkRoom returns [ports.ErrQueueFull] unless the call's jobs fit on the
// queue beside those that are not finished.
func (e *enqueue) checkRoom(q *queue) error {
	count, bytes := len(e.jobs), 0
	for i := range e.jobs {
		bytes += len(e.jobs[i].Data)
	}
	if q.fits(count, bytes) {
		return nil
	}
	if count, bytes = e.additions(q); q.fits(count, bytes) {
		return nil
	}
	return fmt.Errorf("%d jobs of %d bytes are to be done, at most %d of %d bytes fit: %w",
		q.unfinished(), q.bytes-q.kept, q.maxJobs, q.maxBytes, ports.ErrQueueFull)
}

func (q *queue) fits(count, bytes int) bool {
	return count == 0 || q.unfinished()+count <= q.maxJobs && q.bytes-q.kept+bytes <= q.maxBytes
}

// additions counts exactly which jobs of the call the queue would take: those
// that nothing on the queues and no earlier job of the call refuses.
func (e *enqueue) additions(q *queue) (count, bytes int) {
	type name struct {
		queue domain.QueueName
		text  string
	}
	receipts, ids, keys := map[string]bool{}, map[name]bool{}, map[name]bool{}
	for i := range e.jobs {
		job := &e.jobs[i]
		id := name{job.Queue, string(job.Options.ID)}
		key := name{job.Queue, job.Options.Deduplication.Key}
		if receipts[job.Receipt] || ids[id] || keys[key] || e.queueOf(job.Queue).refusal(job, e.receipts).Status != 0 {
			continue
		}
		receipts[job.Receipt], ids[id], keys[key] = job.Receipt != "", id.text != "", key.text != ""
		if job.Queue == q.name {
			count++
			bytes += len(job.Data)
		}
	}
	return count, bytes
}

// trim drops finished jobs, the oldest first, until the queue is within its
// bounds or none is left.
func (q *queue) trim() {
	for len(q.jobs) > q.maxJobs || q.bytes > q.maxBytes {
		oldest := q.completed.front
		if oldest == nil {
			oldest = q.failed.front
		}
		if oldest == nil {
			return
		}
		q.drop(oldest)
	}
}

// retain applies the retention of a job that just finished to all jobs that
// finished as it did.
func (q *queue) retain(list *jobList, keep domain.Retention, now moment) {
	if !keep.Limited {
		return
	}
	for keep.Age > 0 && list.front != nil && list.front.finishedAt <= now.at-instant(keep.Age) {
		q.drop(list.front)
	}
	for keep.Count > 0 && list.len > keep.Count {
		q.drop(list.front)
	}
}
