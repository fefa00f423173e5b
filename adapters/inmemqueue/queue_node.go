package inmemqueue

import (
	"cmp"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// jobNode is a job with its place on the queue. It is the one allocation that
// an enqueued job costs: lists link it directly and heaps know its index.
type jobNode struct {
	job   domain.Job
	state domain.State

	prev, next *jobNode
	// rank and seq order heaps: by priority or due time, then first come
	// first served. index is the place in the heap.
	rank, seq int64
	index     int

	token    domain.LeaseToken
	leaseEnd instant

	startedAt, finishedAt instant

	// bytes is what the node counts against the bound of its queue.
	bytes  int
	result []byte
	// more is nil for most jobs.
	more *jobNotes
}

// jobNotes is what a job that runs smoothly leaves empty.
type jobNotes struct {
	progress      []byte
	log           []string
	reason, stack string
	// receipt is kept if somebody wants to know of the job's end.
	receipt string
}

// notes returns the node's notes to write to.
func (n *jobNode) notes() *jobNotes {
	if n.more == nil {
		n.more = new(jobNotes)
	}
	return n.more
}

// noted returns the node's notes to read.
func (n *jobNode) noted() jobNotes {
	if n.more == nil {
		return jobNotes{}
	}
	return *n.more
}

func (n *jobNode) due() instant { return instant(n.rank) }

// jobList is a list of nodes; its front is worked first or is oldest.
type jobList struct {
	front, back *jobNode
	len         int
}

func (l *jobList) pushBack(n *jobNode) {
	n.prev, n.next = l.back, nil
	if l.back == nil {
		l.front = n
	} else {
		l.back.next = n
	}
	l.back = n
	l.len++
}

func (l *jobList) pushFront(n *jobNode) {
	n.prev, n.next = nil, l.front
	if l.front == nil {
		l.back = n
	} else {
		l.front.prev = n
	}
	l.front = n
	l.len++
}

func (l *jobList) remove(n *jobNode) {
	if n.prev == nil {
		l.front = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.back = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
	l.len--
}

// shrinkAbove is the length from which emptied storage is given back.
const shrinkAbove = 1 << 12

func compareNodes(a, b *jobNode) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.seq, b.seq))
}

// jobHeap is a heap for package container/heap, ordered by rank and seq.
type jobHeap []*jobNode

// Len returns how many nodes there are.
func (h *jobHeap) Len() int { return len(*h) }

// Less orders by rank, then seq.
func (h *jobHeap) Less(i, j int) bool { return compareNodes((*h)[i], (*h)[j]) < 0 }

// Swap exchanges two nodes.
func (h *jobHeap) Swap(i, j int) {
	nodes := *h
	nodes[i], nodes[j] = nodes[j], nodes[i]
	nodes[i].index, nodes[j].index = i, j
}

// Push appends a *jobNode.
func (h *jobHeap) Push(x any) {
	n := x.(*jobNode)
	n.index = len(*h)
	*h = append(*h, n)
}

// Pop removes the last node.
func (h *jobHeap) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	if cap(*h) > shrinkAbove && last < cap(*h)/4 {
		*h = append(make(jobHeap, 0, cap(*h)/2), *h...)
	}
	return n
}

// view returns the node as inspectors see it at the moment.
func (n *jobNode) view(now moment) domain.JobView {
	noted := n.noted()
	view := domain.JobView{
		Job: n.job, State: n.state, Progress: noted.progress,
		Log:    append([]string(nil), noted.log...),
		Result: n.result, Reason: noted.reason, Stack: noted.stack,
		StartedAt: now.wallOf(n.startedAt), FinishedAt: now.wallOf(n.finishedAt),
	}
	if n.state == domain.StateDelayed || n.state == domain.StateParked {
		view.DueAt = now.wallOf(n.due())
	}
	return view
}

// age returns how long ago the job finished or, before that, was enqueued.
func (n *jobNode) age(now moment, c clock) time.Duration {
	since := n.finishedAt
	if since == 0 {
		since = c.instant(n.job.CreatedAt)
	}
	return time.Duration(now.at - since)
}
