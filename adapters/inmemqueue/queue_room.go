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
	return count == 0 && bytes <= 0 || q.unfinished()+count <= q.maxJobs && q.bytes-q.kept+bytes <= q.maxBytes
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
		if receipts[job.Receipt] || ids[id] {
			continue
		}
		status := e.queueOf(job.Queue).refusal(job, e.receipts).Status
		if keys[key] && status == 0 {
			status = domain.Deduplicated
		}
		if job.Queue == q.name {
			jobs, size := q.room(job, status)
			count, bytes = count+jobs, bytes+size
		}
		if status == 0 {
			receipts[job.Receipt], ids[id], keys[key] = job.Receipt != "", id.text != "", key.text != ""
		}
	}
	return count, bytes
}

// room returns how many jobs and bytes more the queue has after a job that is
// answered with the status. One that may be kept, or come in the place of
// another job of its call, counts its bytes.
func (q *queue) room(job *domain.NewJob, status domain.EnqueueStatus) (jobs, bytes int) {
	d := job.Options.Deduplication
	switch status {
	case 0:
		if owner := q.delayedOwner(d); owner != nil {
			return 0, len(job.Data) - owner.bytes
		}
		return 1, len(job.Data)
	case domain.Deduplicated:
		if d.Mode.KeepsLast() || d.Mode.Replaces() {
			return 0, len(job.Data)
		}
	case domain.Accepted, domain.DuplicateID, domain.ReceiptKnown:
	}
	return 0, 0
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
	for n := 0; keep.Age > 0 && list.front != nil && list.front.finishedAt <= now.at-instant(keep.Age); n++ {
		if keep.PerFinish > 0 && n == keep.PerFinish {
			break
		}
		q.drop(list.front)
	}
	for keep.Count > 0 && list.len > keep.Count {
		q.drop(list.front)
	}
}
