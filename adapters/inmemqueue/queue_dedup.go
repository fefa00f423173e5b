package inmemqueue

import (
	"container/heap"

	"github.com/taktwork/takt/core/domain"
)

// keyHold is a deduplication key that a job holds, until its end or, with
// the end at zero, until that job is finished or removed.
type keyHold struct {
	key   string
	owner domain.JobID
	until instant
	// index is the place in the heap of keys with an end.
	index int
}

// nextJob is kept to follow the owner of its key.
type nextJob struct {
	job domain.NewJob
	id  domain.JobID
}

// keyHolds are the held keys of one queue.
type keyHolds struct {
	byKey map[string]*keyHold
	next  map[string]*nextJob
	ends  keyHeap
	// most is how many keys may have an end; those that end first make room.
	most int
}

// owner returns the job that holds the key.
func (k *keyHolds) owner(key string) (domain.JobID, bool) {
	if key == "" {
		return "", false
	}
	h := k.byKey[key]
	if h == nil {
		return "", false
	}
	return h.owner, true
}

// take gives the key to the job. If another one holds it, the job comes in its
// place.
func (k *keyHolds) take(d domain.Deduplication, owner domain.JobID, now instant) {
	if d.Key == "" {
		return
	}
	if h := k.byKey[d.Key]; h != nil && d.TTL > 0 && !d.Mode.Extends() {
		h.owner = owner
		return
	}
	h := &keyHold{key: d.Key, owner: owner}
	if d.TTL > 0 {
		h.until = now.after(d.TTL)
		heap.Push(&k.ends, h)
	}
	if k.byKey == nil {
		k.byKey = make(map[string]*keyHold)
	}
	k.byKey[d.Key] = h
}

// extend gives the held key a new end.
func (k *keyHolds) extend(key string, until instant) {
	h := k.byKey[key]
	hadEnd := h.until > 0
	h.until = until
	if hadEnd {
		heap.Fix(&k.ends, h.index)
	} else {
		heap.Push(&k.ends, h)
	}
}

// keep has the job follow the owner of its key, which holds the key until it is
// done. It returns the job that was kept before.
func (k *keyHolds) keep(key string, next *nextJob) (before *nextJob) {
	h := k.byKey[key]
	if h.until > 0 {
		heap.Remove(&k.ends, h.index)
		h.until = 0
	}
	if k.next == nil {
		k.next = make(map[string]*nextJob)
	}
	before, k.next[key] = k.next[key], next
	return before
}

// takeNext returns the job that is kept for the key, and forgets it.
func (k *keyHolds) takeNext(key string) *nextJob {
	next := k.next[key]
	if next != nil {
		delete(k.next, key)
	}
	return next
}

// finished frees the key of a finished job unless the key has a time of its own.
func (k *keyHolds) finished(job *domain.Job) {
	if h := k.heldBy(job); h != nil && h.until == 0 {
		delete(k.byKey, h.key)
	}
}

// removed frees the key of a job that is taken off the queue by hand, and returns
// the job that was kept for it.
func (k *keyHolds) removed(job *domain.Job) *nextJob {
	h := k.heldBy(job)
	if h == nil {
		return nil
	}
	delete(k.byKey, h.key)
	return k.takeNext(h.key)
}

func (k *keyHolds) heldBy(job *domain.Job) *keyHold {
	key := job.Options.Deduplication.Key
	if key == "" {
		return nil
	}
	if h := k.byKey[key]; h != nil && h.owner == job.ID {
		return h
	}
	return nil
}

// expire frees the keys whose time has passed.
func (k *keyHolds) expire(now instant) {
	for len(k.ends) > 0 && (k.ends[0].until <= now || len(k.ends) > k.most) {
		h := heap.Pop(&k.ends).(*keyHold)
		if k.byKey[h.key] == h {
			delete(k.byKey, h.key)
		}
	}
}

// keyHeap is a heap for package container/heap, ordered by end.
type keyHeap []*keyHold

// Len returns how many keys have an end.
func (h *keyHeap) Len() int { return len(*h) }

// Less orders by end.
func (h *keyHeap) Less(i, j int) bool { return (*h)[i].until < (*h)[j].until }

// Swap exchanges two holds.
func (h *keyHeap) Swap(i, j int) {
	holds := *h
	holds[i], holds[j] = holds[j], holds[i]
	holds[i].index, holds[j].index = i, j
}

// Push appends a *keyHold.
func (h *keyHeap) Push(x any) {
	hold := x.(*keyHold)
	hold.index = len(*h)
	*h = append(*h, hold)
}

// Pop removes the last hold.
func (h *keyHeap) Pop() any {
	last := len(*h) - 1
	hold := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return hold
}
