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
// next. A call may follow the read: the server carries it out as soon as the
// read has ended.
type ear struct {
	client   *redis.Client
	marker   string
	failures *failures

	ctx  context.Context //nolint:containedctx // ends what the ear has under way when it closes
	stop context.CancelFunc

	mu sync.Mutex
	// listeners counts who waits; popping tells that a read is under way. beginner
	// belongs to the listener who began it, nil when that one has left.
	listeners int
	popping   bool
	beginner  chan struct{}
	// rest is how long the next read waits first, because the latest failed.
	rest   time.Duration
	closed bool
	heard  chan struct{}
	loops  sync.WaitGroup
}

func newEar(client *redis.Client, marker string, f *failures) *ear {
	ctx, stop := context.WithCancel(context.Background())
	return &ear{client: client, marker: marker, failures: f, ctx: ctx, stop: stop, heard: make(chan struct{}, 1)}
}

// start runs fn once, beside what is heard, until the ear closes.
func (e *ear) start(fn func(context.Context)) { e.loops.Go(func() { fn(e.ctx) }) }

// listen returns when a marker was heard, when that was waited for long enough,
// or when ctx ends. It reports whether the call, if there is one, was answered:
// otherwise it may have been carried out, or may still be.
func (e *ear) listen(ctx context.Context, l listening, call *redis.Cmd) (answered bool) {
	var ended chan struct{}
	e.mu.Lock()
	e.listeners++
	if !e.popping && !e.closed {
		ended = make(chan struct{}, 1)
		e.popping, e.beginner = true, ended
		e.loops.Go(func() { e.pop(l.block, call) })
	}
	e.mu.Unlock()
	defer e.leave(ended)
	// A read that began earlier may last longer than this one is to, and one whose
	// connection is dead does.
	timer := time.NewTimer(l.patience)
	defer timer.Stop()
	select {
	case <-ended:
		return call != nil && call.Err() == nil
	case <-ctx.Done():
	case <-e.ctx.Done():
	case <-e.heard:
	case <-timer.C:
	}
	return false
}

// showPatience bounds the wait for the connection, which may be busy.
const showPatience = 200 * time.Millisecond

// show makes sure of the connection, by whose name tools see the worker: one
// that always has work never waits for a marker.
func (e *ear) show(ctx context.Context) {
	e.mu.Lock()
	busy := e.popping || e.closed
	e.mu.Unlock()
	if busy {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, showPatience)
	defer cancel()
	_ = e.client.Ping(ctx).Err() // what is wrong shows in other calls, too
}

func (e *ear) leave(beginner chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners--
	if e.beginner == beginner {
		e.beginner = nil
	}
}

// leastBlock is the shortest block that Redis 6.2 to 7.0.7 take for one.
const leastBlock = 2 * time.Millisecond

// pop reads once, and says so to one who listens; also when the read failed, for
// a marker may be lost with its answer. A marker that nobody waits for any more is
// put back: it wakes one worker alone.
func (e *ear) pop(block time.Duration, call *redis.Cmd) {
	if e.rest > 0 {
		pause(e.ctx, e.rest)
	}
	marker, err := e.read(block, call)
	failed := err != nil && !errors.Is(err, redis.Nil) && e.ctx.Err() == nil
	if failed {
		e.failures.failed(e.ctx, "bzpopmin", err)
	}
	e.mu.Lock()
	beginner, left := e.beginner, e.listeners == 0
	e.popping, e.beginner, e.rest = false, nil, restAfter(e.rest, failed)
	e.mu.Unlock()
	switch {
	case err == nil && left:
		_ = e.client.ZAddNX(e.ctx, e.marker, marker.Z).Err()
	case beginner != nil:
		beginner <- struct{}{}
	default:
		select {
		case e.heard <- struct{}{}:
		default:
		}
	}
}

// restAfter returns how long the next read waits, after one that did so before.
func restAfter(rest time.Duration, failed bool) time.Duration {
	if !failed {
		return 0
	}
	return min(max(2*rest, repeatFirst), repeatMost)
}

// read waits for the marker, as long as the block lasts, and has the call carried
// out. Its error is the wait's own: a refused call may have been overtaken on its
// way (lua/include/session.lua), and its listener asks what became of it.
func (e *ear) read(block time.Duration, call *redis.Cmd) (*redis.ZWithKey, error) {
	seconds := strconv.FormatFloat(max(block, leastBlock).Seconds(), 'f', 3, 64)
	command := redis.NewZWithKeyCmd(e.ctx, "bzpopmin", e.marker, seconds)
	pipe := e.client.Pipeline()
	_ = pipe.Process(e.ctx, command)
	if call != nil {
		_ = pipe.Process(e.ctx, call)
	}
	_, err := pipe.Exec(e.ctx)
	switch unsent := err != nil && command.Err() == nil; {
	case call != nil && call.Err() != nil:
		err = command.Err()
	case call != nil && unsent:
		// A server that answers the password with an error: the library does not
		// tell the commands that were not sent.
		call.SetErr(err)
	}
	return command.Val(), err
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
