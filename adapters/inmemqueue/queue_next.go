package inmemqueue

import "github.com/taktwork/takt/core/domain"

// delayedOwner returns the delayed job in whose place the new one comes, nil if
// there is none.
func (q *queue) delayedOwner(d domain.Deduplication) *jobNode {
	if !d.Mode.Replaces() {
		return nil
	}
	owner, _ := q.keys.owner(d.Key)
	if n := q.jobs[owner]; n != nil && isPutOff(n) {
		return n
	}
	return nil
}

// makeWay removes the delayed job in whose place the new one comes. Its key stays
// for that.
func (q *queue) makeWay(d domain.Deduplication) {
	n := q.delayedOwner(d)
	if n == nil {
		return
	}
	q.loseNext(q.keys.takeNext(d.Key))
	q.end(n)
	q.drop(n)
}

// deduplicate does what a job still does whose key another one holds.
func (e *enqueue) deduplicate(q *queue, job *domain.NewJob, left int) {
	d := job.Options.Deduplication
	owner := q.jobs[q.keys.byKey[d.Key].owner]
	if owner != nil && d.Mode.KeepsLast() && (owner.state == domain.StateActive || job.Again) {
		e.keepNext(q, job, left)
		return
	}
	q.endUnfiled(job)
	switch {
	case d.Mode == domain.DedupExtend:
		q.keys.extend(d.Key, e.now.at.after(d.TTL))
	case owner == nil:
	case d.Mode == domain.DedupReschedule && isPutOff(owner):
		q.detach(owner)
		q.delay(owner, domain.StateDelayed, e.now.at.after(job.Options.Delay))
	}
}

// keepNext keeps the job until the owner of its key is done.
func (e *enqueue) keepNext(q *queue, job *domain.NewJob, left int) {
	id := job.Options.ID
	if id == "" {
		id = e.nextID(q, left)
	}
	q.bytes += len(job.Data)
	q.loseNext(q.keys.keep(job.Options.Deduplication.Key, &nextJob{job: *job, id: id}))
	e.receipts.write(job.Receipt, id, e.now.at)
}

// loseNext ends a job that was kept, if there is one.
func (q *queue) loseNext(next *nextJob) {
	if next != nil {
		q.bytes -= len(next.job.Data)
		q.endUnfiled(&next.job)
	}
}

// endUnfiled notes that a job is over without having been on the queue.
func (q *queue) endUnfiled(job *domain.NewJob) {
	if job.Receipt != "" && q.ended != nil {
		q.over = append(q.over, job.Receipt)
	}
}

// follow adds the job that was kept until this one is done. Where a job of its
// id came in between, it goes without.
func (q *queue) follow(done *domain.Job, now moment) {
	next := q.keys.takeNext(done.Options.Deduplication.Key)
	if next == nil {
		return
	}
	if q.jobs[next.id] != nil {
		q.loseNext(next)
		return
	}
	q.bytes -= len(next.job.Data)
	q.add(q.newNode(&next.job, next.id, now), now)
}
