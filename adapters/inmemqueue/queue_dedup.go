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
}

// keyHolds are the held keys of one queue.
type keyHolds struct {
	byKey map[string]*keyHold
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

func (k *keyHolds) take(d domain.Deduplication, owner domain.JobID, now instant) {
	if d.Key == "" {
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

// finished frees the key of a finished job unless the key has a time of its own.
func (k *keyHolds) finished(job *domain.Job) {
	if h := k.heldBy(job); h != nil && h.until == 0 {
		delete(k.byKey, h.key)
	}
}

// removed frees the key of a job that is taken off the queue by hand.
func (k *keyHolds) removed(job *domain.Job) {
	if h := k.heldBy(job); h != nil {
		delete(k.byKey, h.key)
	}
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
func (h *keyHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push appends a *keyHold.
func (h *keyHeap) Push(x any) {
	*h = append(*h, x.(*keyHold))
}

// Pop removes the last hold.
func (h *keyHeap) Pop() any {
	last := len(*h) - 1
	hold := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return hold
}
