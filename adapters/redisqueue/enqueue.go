package redisqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Bounds of one call of enqueue.lua.
const (
	maxEnqueued      = 200
	maxEnqueuedBytes = 256 << 10
)

// Enqueue implements [ports.Enqueuer]. Up to 200 jobs or 256 KiB are added in
// one step; more are carried in several, and when ctx ends in between the
// first of them are there, and those of the step under way may be: jobs with ids
// of their own can be added again without harm. A call without a context that
// ends never fails for a server that is away.
//
// What others left under the name of a key that is needed fails the call before
// anything is added, and the error names the key. Should the server refuse to go
// on in the middle nevertheless, the error says how many jobs are there.
func (b *Backend) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range jobs {
		if err := b.checkJob(&jobs[i]); err != nil {
			return nil, fmt.Errorf("enqueue: %w", err)
		}
	}
	results := make([]domain.EnqueueResult, 0, len(jobs))
	for len(jobs) > 0 {
		n := callful(jobs)
		some, err := b.enqueueSome(ctx, jobs[:n])
		if err != nil {
			return nil, fmt.Errorf("enqueue: %w", ended(ctx, err))
		}
		results = append(results, some...)
		jobs = jobs[n:]
	}
	return results, nil
}

// isReserved reports whether the id is a word that names a key of a queue: a
// job of this id would be that key (protocol 1.1).
func isReserved(id domain.JobID) bool {
	switch id {
	case "active", "wait", "waiting-children", "paused", "id", "delayed", "prioritized", "stalled-check", "completed",
		"failed", "stalled", "repeat", "limiter", "meta", "events", "pc", "marker", "de", "delay", "priority", "metrics",
		"dn":
		return true
	}
	return false
}

func (b *Backend) checkJob(job *domain.NewJob) error {
	if err := job.Validate(b.config.MaxPayload); err != nil {
		return err
	}
	switch {
	case isReserved(job.Options.ID):
		return domain.Invalidf("job id %s: BullMQ keeps something else under this name", domain.Quote(string(job.Options.ID)))
	case len(job.Data) > 0 && !json.Valid(job.Data):
		return domain.Invalidf("job %s: its data is not JSON", domain.Quote(job.Name))
	case strings.ContainsAny(job.Options.Deduplication.Key, "\x00"):
		return domain.Invalidf("job %s: deduplication key has characters that do not print", domain.Quote(job.Name))
	}
	return nil
}

// callful returns how many of the jobs go into one call.
func callful(jobs []domain.NewJob) int {
	bytes := 0
	for i := range jobs {
		if bytes += len(jobs[i].Data); i > 0 && bytes > maxEnqueuedBytes || i == maxEnqueued {
			return i
		}
	}
	return len(jobs)
}
