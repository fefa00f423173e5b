package runner

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// batcher joins calls that come while one is under way into the next one:
// group commit. It needs no goroutine of its own; a waiting caller leads the
// next batch.
type batcher[Q, A any] struct {
	do    func(ctx context.Context, queries []Q) ([]A, error)
	limit int

	mu      sync.Mutex
	busy    bool
	waiting []*batchCall[Q, A]
}

type batchCall[Q, A any] struct {
	ctx    context.Context //nolint:containedctx // the batch lasts as long as any of its callers wants it to
	query  Q
	answer A
	err    error
	// lead is told true when the caller must lead the next batch, false when
	// its answer is there.
	lead chan bool
}

// Do adds the query to a batch and returns its answer. It always waits for
// the batch: the outcome is known when it returns. The batch is given up when
// the contexts of all its callers have ended.
func (b *batcher[Q, A]) Do(ctx context.Context, query Q) (A, error) {
	call := &batchCall[Q, A]{ctx: ctx, query: query, lead: make(chan bool, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, call)
	leads := !b.busy
	b.busy = true
	b.mu.Unlock()
	if leads || <-call.lead {
		b.runBatch()
	}
	return call.answer, call.err
}

// runBatch carries out a batch that holds the leader's own call, and hands
// over to the first of those that came meanwhile.
func (b *batcher[Q, A]) runBatch() {
	b.mu.Lock()
	n := min(len(b.waiting), b.limit)
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.mu.Unlock()

	queries := make([]Q, len(batch))
	for i, call := range batch {
		queries[i] = call.query
	}
	ctx, cancel := jointContext(batch)
	answers, err := b.do(ctx, queries)
	cancel()
	for i, call := range batch {
		if call.err = err; err == nil {
			call.answer = answers[i]
		}
		if i > 0 {
			call.lead <- false
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy = len(b.waiting) > 0; b.busy {
		b.waiting[0].lead <- true
	}
}

// jointContext ends when the contexts of all calls have ended.
func jointContext[Q, A any](batch []*batchCall[Q, A]) (context.Context, context.CancelFunc) {
	if !slices.ContainsFunc(batch, func(call *batchCall[Q, A]) bool { return call.ctx != batch[0].ctx }) {
		return context.WithCancel(batch[0].ctx)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(batch[0].ctx))
	var left atomic.Int64
	left.Store(int64(len(batch)))
	stops := make([]func() bool, len(batch))
	for i, call := range batch {
		stops[i] = context.AfterFunc(call.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		cancel()
		for _, stop := range stops {
			stop()
		}
	}
}
