package storage

import (
	"context"
	"errors"
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

// watchedRunner keeps account of what calls come to.
type watchedRunner struct {
	runner

	health *health
}

func (r watchedRunner) read(ctx context.Context, statements ...statement) error {
	return r.health.note(r.runner.read(ctx, statements...))
}

func (r watchedRunner) write(ctx context.Context, statements ...statement) error {
	return r.health.note(r.runner.write(ctx, statements...))
}
