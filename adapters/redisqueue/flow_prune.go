package redisqueue

import (
	"context"
	"fmt"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// RemoveUnprocessedChildren removes the children that the job waits for, with
// those that they wait for, and names them. Failed children and those that are
// being worked stay. The last one to go makes the job ready. It goes through
// many children in several steps; when ctx ends in between, those that were
// removed are named as well. The error is [ports.ErrNotFound] if there is no
// such job.
func (q *Queue) RemoveUnprocessedChildren(ctx context.Context, id domain.JobID) ([]JobRef, error) {
	var removed []JobRef
	err := (JobRef{Queue: q.name, ID: id}).Validate()
	for from := "0"; err == nil && from != ""; {
		var some []JobRef
		some, from, err = q.prune(ctx, id, from)
		removed = append(removed, some...)
	}
	if err != nil {
		return removed, fmt.Errorf("remove the unprocessed children of job %s of queue %s: %w", domain.Quote(string(id)), q.name, err)
	}
	return removed, nil
}

// prune removes some children and says where to go on, empty at the end.
func (q *Queue) prune(ctx context.Context, id domain.JobID, from string) (removed []JobRef, next string, err error) {
	args := []any{"", q.base, string(q.backend.config.Profile), string(id), from}
	reply, err := q.backend.numbered(ctx, scriptNamed("flow_prune"), []string{"", q.base + string(id)}, args)
	if err != nil {
		return nil, "", ended(ctx, err)
	}
	u := unpackerOf(reply)
	there := u.number() == 1
	next, _ = u.text()
	for _, key := range u.texts() {
		removed = append(removed, q.backend.keys.refOf(key))
	}
	switch {
	case u.err != nil:
		return nil, "", u.err
	case !there:
		return nil, "", ports.ErrNotFound
	}
	return removed, next, nil
}
