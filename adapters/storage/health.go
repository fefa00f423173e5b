package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taktwork/takt/core/ports"
)

// Health returns since when the database has not answered, and the latest
// error; the zero time while it answers. Calls over [DB.Bun] do not count.
func (db *DB) Health() (since time.Time, latest error) {
	db.health.mu.Lock()
	defer db.health.mu.Unlock()
	return db.health.since, db.health.latest
}

// health is what the latest calls came to.
type health struct {
	mu     sync.Mutex
	since  time.Time
	latest error
}

// note takes account of a call. A refusal is an answer.
func (h *health) note(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, ports.ErrUnavailable):
		if h.since.IsZero() {
			h.since = time.Now()
		}
		h.latest = err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	default:
		h.since, h.latest = time.Time{}, nil
	}
	return err
}

// callLimit bounds a call: a server that was cut off from the network says
// nothing at all.
const callLimit = 10 * time.Second

// watchedRunner bounds calls, and keeps account of what they come to.
type watchedRunner struct {
	runner

	health *health
}

func (r watchedRunner) read(ctx context.Context, statements ...statement) error {
	return r.bounded(ctx, statements, r.runner.read)
}

func (r watchedRunner) write(ctx context.Context, statements ...statement) error {
	return r.bounded(ctx, statements, r.runner.write)
}

func (r watchedRunner) bounded(ctx context.Context, statements []statement, call func(context.Context, ...statement) error) error {
	bound, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := call(bound, statements...)
	if err != nil && bound.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: no answer for %s", ports.ErrUnavailable, callLimit)
	}
	return r.health.note(err)
}
