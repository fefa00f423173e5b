package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// passing are the beginnings of server errors that pass by themselves, or when
// an operator mends what they complain of. The command had no effect.
func passing() []string {
	return []string{
		"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "MISCONF", "NOREPLICAS",
		"NOAUTH", "WRONGPASS", "ERR max number of clients", "UNBLOCKED",
	}
}

// passes reports whether the error is one that a repetition may not meet
// again: the server is away, or refuses everything for now.
func passes(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		// Not the server's: the network's, or the pool's.
		return !errors.Is(err, redis.ErrClosed)
	}
	for _, prefix := range passing() {
		if strings.HasPrefix(reply.Error(), prefix) {
			return true
		}
	}
	return false
}

// translate turns an error of the client into one of the ports'. Its text is
// the server's or the network's; neither holds credentials.
func translate(op string, err error) error {
	switch {
	case errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("%s: %w", op, ports.ErrClosed)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", op, err)
	case passes(err):
		return fmt.Errorf("%s: %w: %s", op, ports.ErrUnavailable, domain.CleanText(err.Error(), domain.MaxReason))
	}
	return fmt.Errorf("%s: %w", op, err)
}

// failures keep account of a server that does not answer: they say so in the
// log once a second for each cause at most, and when it is over.
type failures struct {
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex
	since    time.Time
	latest   error
	reported map[string]time.Time
}

func newFailures(log *slog.Logger, now func() time.Time) *failures {
	return &failures{log: log, now: now, reported: map[string]time.Time{}}
}

// maxCauses bounds the causes that are told apart.
const maxCauses = 32

// failed takes note of a call that got no answer.
func (f *failures) failed(ctx context.Context, op string, err error) {
	cause := causeOf(err)
	f.mu.Lock()
	now := f.now()
	if f.since.IsZero() {
		f.since = now
	}
	f.latest = err
	report := now.Sub(f.reported[cause]) >= time.Second
	if report {
		if len(f.reported) >= maxCauses {
			clear(f.reported)
		}
		f.reported[cause] = now
	}
	since := f.since
	f.mu.Unlock()
	if report {
		f.log.WarnContext(ctx, "redis does not answer", "call", op, "away_ms", now.Sub(since).Milliseconds(),
			"err", domain.CleanText(err.Error(), domain.MaxReason))
	}
}

// answered takes note of a call that got its answer.
func (f *failures) answered(ctx context.Context) {
	f.mu.Lock()
	since := f.since
	f.since, f.latest = time.Time{}, nil
	f.mu.Unlock()
	if !since.IsZero() {
		f.log.InfoContext(ctx, "redis answers again", "away_ms", f.now().Sub(since).Milliseconds())
	}
}

func (f *failures) state() (since time.Time, latest error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.since, f.latest
}

// causeOf sorts errors for the log: the server's by their first word.
func causeOf(err error) string {
	var reply redis.Error
	if errors.As(err, &reply) {
		word, _, _ := strings.Cut(reply.Error(), " ")
		return word
	}
	return "network"
}
