package runner

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

var _ Annotator = (*jobAttempt)(nil)

// Annotate implements [Annotator]. It works as long as the handler runs and
// the lease is held; a handler whose own context has ended may come with
// another one that was made from it.
func (a *jobAttempt) Annotate(ctx context.Context, note domain.Note) error {
	w := a.worker
	if size := sizeOf(&note); size > w.cfg.MaxPayload {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", size, w.cfg.MaxPayload, domain.ErrTooLarge)
	}
	if err := w.mayAnnotate(ctx, a); err != nil {
		return err
	}
	note.Lease = a.lease.Ref()
	lost, err := w.consumer.Annotate(ctx, []domain.Note{note})
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case len(lost) > 0:
		w.judgeLeases([]*jobAttempt{a}, lost, w.now())
		return domain.ErrLeaseLost
	}
	return nil
}

// mayAnnotate returns why the attempt may write no note, or nil.
func (w *worker) mayAnnotate(ctx context.Context, a *jobAttempt) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case a.lost || a.state == attemptFenced:
		return domain.ErrLeaseLost
	case a.state != attemptActive:
		return fmt.Errorf("the handler has returned: %w", context.Canceled)
	}
	return nil
}

func sizeOf(note *domain.Note) int {
	size := max(len(note.Progress), len(note.Data))
	for _, line := range note.Log {
		size = max(size, len(line))
	}
	return size
}
