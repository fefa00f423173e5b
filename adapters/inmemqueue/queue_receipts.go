package inmemqueue

import (
	"sync"

	"github.com/taktwork/takt/core/domain"
)

// receiptBook holds the receipts of all queues of a backend: a receipt says
// that its job was enqueued, on whatever queue. It is locked after the queues. A nil book serves
// calls without receipts.
type receiptBook struct {
	mu sync.Mutex
	// most is how many receipts are known at most; the oldest make room.
	most  int
	known map[string]*receiptEntry
	// oldest to newest is the order in which receipts end.
	oldest, newest *receiptEntry
}

type receiptEntry struct {
	receipt string
	job     domain.JobID
	until   instant
	next    *receiptEntry
}

func (b *receiptBook) lock() {
	if b != nil {
		b.mu.Lock()
	}
}

func (b *receiptBook) unlock() {
	if b != nil {
		b.mu.Unlock()
	}
}

// expire forgets the receipts whose time has passed.
func (b *receiptBook) expire(now instant) {
	if b == nil {
		return
	}
	for b.oldest != nil && (b.oldest.until <= now || len(b.known) > b.most) {
		delete(b.known, b.oldest.receipt)
		b.oldest = b.oldest.next
	}
	if b.oldest == nil {
		b.newest = nil
	}
}

// job returns the job that the receipt was written with.
func (b *receiptBook) job(receipt string) (domain.JobID, bool) {
	if receipt == "" {
		return "", false
	}
	entry := b.known[receipt]
	if entry == nil {
		return "", false
	}
	return entry.job, true
}

func (b *receiptBook) write(receipt string, job domain.JobID, now instant) {
	if receipt == "" {
		return
	}
	entry := &receiptEntry{receipt: receipt, job: job, until: now.after(domain.ReceiptLife)}
	b.known[receipt] = entry
	if b.newest == nil {
		b.oldest = entry
	} else {
		b.newest.next = entry
	}
	b.newest = entry
}
