package redisqueue

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ear waits for BullMQ's marker on a connection of its own, the only one that
// has a worker's name (protocol 3.1). A blocked read cannot be called back:
// when its listener leaves, it goes on, and what it hears is kept for the
// next.
type ear struct {
	client   *redis.Client
	marker   string
	failures *failures

	ctx  context.Context //nolint:containedctx // ends what the ear has under way when it closes
	stop context.CancelFunc

	mu        sync.Mutex
	listening bool
	closed    bool
	heard     chan struct{}
	loops     sync.WaitGroup
}

func newEar(client *redis.Client, marker string, f *failures) *ear {
	ctx, stop := context.WithCancel(context.Background())
	return &ear{client: client, marker: marker, failures: f, ctx: ctx, stop: stop, heard: make(chan struct{}, 1)}
}

// start runs fn once, beside what is heard, until the ear closes.
func (e *ear) start(fn func(context.Context)) { e.loops.Go(func() { fn(e.ctx) }) }

// listen returns when a marker was heard, after about d, or when ctx ends.
func (e *ear) listen(ctx context.Context, d time.Duration) {
	e.mu.Lock()
	if !e.listening && !e.closed {
		e.listening = true
		e.loops.Go(func() { e.pop(d) })
	}
	e.mu.Unlock()
	// A read that began earlier may last longer than this one is to.
	timer := time.NewTimer(d + earGrace)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-e.ctx.Done():
	case <-e.heard:
	case <-timer.C:
	}
}

const (
	// earGrace is how much later than asked the server may answer.
	earGrace = 20 * time.Millisecond
	// leastBlock is the shortest block that Redis 6.2 to 7.0.7 take for one.
	leastBlock = 2 * time.Millisecond
)

// pop waits for the marker, or d, and says that it was heard.
func (e *ear) pop(d time.Duration) {
	seconds := strconv.FormatFloat(max(d, leastBlock).Seconds(), 'f', 3, 64)
	err := e.client.Process(e.ctx, redis.NewZWithKeyCmd(e.ctx, "bzpopmin", e.marker, seconds))
	failed := err != nil && !errors.Is(err, redis.Nil) && e.ctx.Err() == nil
	if failed {
		e.failures.failed(e.ctx, "bzpopmin", err)
		pause(e.ctx, repeatFirst)
	}
	e.mu.Lock()
	e.listening = false
	e.mu.Unlock()
	if failed {
		// Listeners go on by their own timers: the fetch that follows would
		// fail as well.
		return
	}
	select {
	case e.heard <- struct{}{}:
	default:
	}
}

// close ends what is under way and waits for it.
func (e *ear) close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	err := e.client.Close()
	e.loops.Wait()
	return err
}
