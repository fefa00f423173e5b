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
		"NOAUTH", "WRONGPASS", "NOPERM", "max number of clients", "UNBLOCKED",
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
	complaint := complaintOf(reply)
	for _, prefix := range passing() {
		if strings.HasPrefix(complaint, prefix) {
			return true
		}
	}
	return false
}

// complaintOf returns the server's words from their code on. What a command in
// a script complains of comes with words of Lua's before it from a Redis older
// than 7, and as a mere ERR from a newer one if the script caught it.
func complaintOf(reply redis.Error) string {
	text := strings.TrimPrefix(reply.Error(), "ERR ")
	if strings.HasPrefix(text, "Error running script") {
		if _, inner, found := strings.Cut(text, ": -"); found {
			return inner
		}
	}
	return text
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
// log, once a second for each cause at most, and when it is over for good.
type failures struct {
	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	// since is when calls of all kinds began to fail, zero if the latest did
	// not.
	since  time.Time
	latest error
	denied denials
	// told is since when the log says that the server does not answer, zero if
	// it does not say so; failedAt is the latest failure.
	told, failedAt time.Time
	reported       map[string]time.Time
	// waiting is when each call under way was sent; the zero times are free.
	waiting []time.Time
}

func newFailures(log *slog.Logger, now func() time.Time) *failures {
	return &failures{log: log, now: now, reported: map[string]time.Time{}, denied: denials{rights: map[string]denial{}}}
}

const (
	// maxCauses bounds the causes that are told apart.
	maxCauses = 32
	// calm is how long no call must have failed for the log to say that the
	// server answers again. A server that answers most calls and fails some
	// would be said to do either many times a second.
	calm = time.Second
	// suspicious is how long a call may wait for its answer before the server
	// counts as one that does not answer. The call itself waits longer.
	suspicious = time.Second
)

// errSilent is the reason while calls wait in vain.
var errSilent = errors.New("no answer to a call under way")

// sending takes note of a call under way, until done is told its place.
func (f *failures) sending() (place int) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for place = range f.waiting {
		if f.waiting[place].IsZero() {
			f.waiting[place] = now
			return place
		}
	}
	f.waiting = append(f.waiting, now)
	return len(f.waiting) - 1
}

func (f *failures) done(place int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[place] = time.Time{}
}

// failed takes note of a call that got no answer.
func (f *failures) failed(ctx context.Context, op string, err error) {
	cause := causeOf(err)
	f.mu.Lock()
	now := f.now()
	f.failedAt = now
	if denialOf(err) != deniesNothing {
		f.denied.add(op, err, now)
	} else {
		f.latest = err
		if f.since.IsZero() {
			f.since = now
		}
	}
	report := now.Sub(f.reported[cause]) >= time.Second
	if report {
		if len(f.reported) >= maxCauses {
			clear(f.reported)
		}
		f.reported[cause] = now
	}
	if f.told.IsZero() {
		f.told = now
	}
	away := now.Sub(f.told)
	f.mu.Unlock()
	if report {
		f.log.WarnContext(ctx, "redis does not answer", "call", op, "away_ms", away.Milliseconds(),
			"err", domain.CleanText(err.Error(), domain.MaxReason))
	}
}

// opConnect is the call that a start waits for: its answer is told at once.
const opConnect = "connect"

// answered takes note of a call that got its answer.
func (f *failures) answered(ctx context.Context, op string) {
	f.mu.Lock()
	f.since, f.latest = time.Time{}, nil
	delete(f.denied.rights, op)
	if f.told.IsZero() || op != opConnect && f.stormy() {
		f.mu.Unlock()
		return
	}
	away := f.failedAt.Sub(f.told)
	f.told = time.Time{}
	f.mu.Unlock()
	f.log.InfoContext(ctx, "redis answers again", "away_ms", away.Milliseconds())
}

// doubtful reports whether an answer leaves open that the server takes writes.
func (f *failures) doubtful() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.denied.doubtful(f.now())
}

// writable takes note that the server takes writes.
func (f *failures) writable() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied.writes = denial{}
}

// stormy tells whether calls fail, or did a moment ago; it is called with mu
// held.
func (f *failures) stormy() bool {
	now := f.now()
	if now.Sub(f.failedAt) < calm {
		return true
	}
	since, _ := f.denied.oldest(now)
	return !since.IsZero()
}

// state returns since when the server has not answered, and why.
func (f *failures) state() (since time.Time, latest error) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	since, latest = f.since, f.latest
	if denied, err := f.denied.oldest(now); since.IsZero() {
		since, latest = denied, err
	}
	for _, sent := range f.waiting {
		if !sent.IsZero() && now.Sub(sent) >= suspicious && (since.IsZero() || sent.Before(since)) {
			since = sent
		}
	}
	if latest == nil && !since.IsZero() {
		latest = errSilent
	}
	return since, latest
}

// causeOf sorts errors for the log: the server's by their first word.
func causeOf(err error) string {
	if reply, ok := errors.AsType[redis.Error](err); ok {
		word, _, _ := strings.Cut(complaintOf(reply), " ")
		return word
	}
	return "network"
}
