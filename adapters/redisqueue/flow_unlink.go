package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Answers of flow_unlink.lua beyond yes and no.
const (
	unlinkNoJob    = 11
	unlinkNoParent = 15
)

// RemoveChildLink takes the job away from its parent, which does not wait for
// it any more: the last child that goes so makes the parent ready. It reports
// whether the parent waited for the job. The error is [ports.ErrNotFound] if
// there is no such job, and [ErrNoParent] if its parent is gone.
func (q *Queue) RemoveChildLink(ctx context.Context, id domain.JobID) (bool, error) {
	waited, err := q.unlink(ctx, id)
	if err != nil {
		return false, fmt.Errorf("remove the link of job %s of queue %s to its parent: %w", domain.Quote(string(id)), q.name, err)
	}
	return waited, nil
}

func (q *Queue) unlink(ctx context.Context, id domain.JobID) (bool, error) {
	if err := (JobRef{Queue: q.name, ID: id}).Validate(); err != nil {
		return false, err
	}
	args := []any{"", q.base, string(q.backend.config.Profile), string(id)}
	reply, err := q.backend.numbered(ctx, scriptNamed("flow_unlink"), []string{"", q.base + string(id)}, args)
	if err != nil {
		return false, ended(ctx, err)
	}
	u := unpackerOf(reply)
	answer := u.number()
	switch {
	case u.err != nil:
		return false, u.err
	case answer == unlinkNoJob:
		return false, ports.ErrNotFound
	case answer == unlinkNoParent:
		return false, ErrNoParent
	}
	return answer == 1, nil
}
