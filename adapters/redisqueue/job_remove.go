package redisqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// RemoveOptions say what goes with a job.
type RemoveOptions struct {
	// KeepChildren leaves the job's children as they are.
	KeepChildren bool
}

// PartlyRemovedError says that the removal of a job with many below it was
// broken off between two steps: some of those are gone, the job itself is not.
type PartlyRemovedError struct {
	Job JobRef
	// Removed are those of the jobs below it that are gone.
	Removed []JobRef
	// Err is what broke it off, [ErrLocked] for instance.
	Err error
}

func (e *PartlyRemovedError) Error() string {
	return fmt.Sprintf("%d jobs below job %s are removed, but not the job itself: %v", len(e.Removed), domain.Quote(e.Job.String()), e.Err)
}

func (e *PartlyRemovedError) Unwrap() error { return e.Err }

// Remove removes the job and those below it, finished or not; its parent waits
// for it no more. The error is [ports.ErrNotFound], [ErrLocked] if a worker has
// the job or one that would go with it, or [ErrScheduled]; nothing is removed
// then.
//
// About 200 jobs go in one step, fewer where they have to be looked for in long
// lists. When a later step meets a job that a worker has, or fails, a
// [*PartlyRemovedError] with that error in it names the jobs that are gone.
func (q *Queue) Remove(ctx context.Context, id domain.JobID, options RemoveOptions) error {
	if err := q.remove(ctx, id, options, nil); err != nil {
		return fmt.Errorf("remove job %s of queue %s: %w", domain.Quote(string(id)), q.name, err)
	}
	return nil
}

// remove removes the job, some of those below which may be gone already.
func (q *Queue) remove(ctx context.Context, id domain.JobID, options RemoveOptions, gone []string) error {
	for {
		u, err := q.operate(ctx, "operate_delete", false, string(id), flag(!options.KeepChildren))
		code := u.number()
		some := u.texts()
		if err == nil {
			err = u.err
		}
		if err == nil && code == codeAgain {
			gone = append(gone, some...)
			continue
		}
		if err == nil {
			err = codeError(code)
		}
		if errors.Is(err, ports.ErrNotFound) && len(gone) > 0 {
			// Somebody else was faster with the rest.
			return nil
		}
		return q.partly(id, gone, err)
	}
}

// partly adds to an error what it has left half done.
func (q *Queue) partly(id domain.JobID, gone []string, err error) error {
	if err == nil || len(gone) == 0 {
		return err
	}
	partly := &PartlyRemovedError{Job: JobRef{Queue: q.name, ID: id}, Removed: make([]JobRef, 0, len(gone)), Err: err}
	for _, key := range gone {
		partly.Removed = append(partly.Removed, q.backend.keys.refOf(key))
	}
	return partly
}
