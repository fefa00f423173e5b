package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/ports"
)

// Events returns the events of the queue after the given one, in the order in
// which they happened: those that the stream holds, and then, for ever, each
// new one as it comes. To go on after a restart, keep the ID of the last event
// that was dealt with.
//
// A loop over them has a connection of its own, opened when it begins and
// closed when it ends, and no goroutine. It ends when its body leaves it, or
// with an error: the context's, [ports.ErrClosed] once the backend is closed,
// [domain.ErrInvalid] for an id that is none, or that of a key that is not a
// stream. A server that is away is waited for, and reading goes on where it
// stopped: no event is lost or handed on twice. One error does not end the
// loop: [*EventsLostError] says that events may be missing, and the next that
// is left follows.
//
// The end of the context interrupts the wait for an event at once.
func (q *Queue) Events(ctx context.Context, after EventID) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r, err := q.openEvents(ctx, after)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer r.close()
		if err := r.begin(ctx); err != nil {
			yield(Event{}, err)
			return
		}
		for r.hand(ctx, yield) {
		}
	}
}

// LastEvent returns the place of the latest event of the queue, after which
// all that happens from now on is read; [EventsFromStart] if there is none.
func (q *Queue) LastEvent(ctx context.Context) (EventID, error) {
	ends, err := q.eventEnds(ctx)
	if err != nil {
		return "", err
	}
	return ends.last, nil
}

// eventEnds is where a stream begins and ends.
type eventEnds struct {
	// first is the oldest entry, empty if there is none.
	first EventID
	// last is the latest entry that there was; [EventsFromStart] if there was
	// none.
	last EventID
	// removed counts the entries that are no more there, negative if the
	// server does not.
	removed int64
}

func (q *Queue) eventEnds(ctx context.Context) (eventEnds, error) {
	reply, err := q.backend.call(ctx, scriptNamed("events_ends"), []string{q.eventsKey()}, nil)
	if err != nil {
		return eventEnds{}, q.eventsError(ended(ctx, err))
	}
	parts, _ := reply.([]any)
	if len(parts) != 3 {
		return eventEnds{}, q.eventsError(errReply)
	}
	first, _ := parts[0].(string)
	last, _ := parts[1].(string)
	removed, _ := parts[2].(int64)
	return eventEnds{first: EventID(first), last: EventID(last), removed: removed}, nil
}

func (q *Queue) eventsKey() string { return q.base + "events" }

func (q *Queue) eventsError(err error) error {
	return fmt.Errorf("events of queue %s: key %s: %w", q.name, q.eventsKey(), err)
}

// eventReader reads the events of one queue, on a connection of its own.
type eventReader struct {
	queue  *Queue
	client *redis.Client
	// at is the last event that was read.
	at EventID
	// lost is what is to be reported before anything else.
	lost *EventsLostError
	// empty is how many entries had been removed when the stream was found to
	// hold none, and to end with the last event that was read; negative if the
	// latest look at it was no such.
	empty int64
	// leave takes back what ends the reader with its context and its backend.
	leave []func()
}

func (q *Queue) openEvents(ctx context.Context, after EventID) (*eventReader, error) {
	if after != EventsFromNow {
		if _, err := after.place(); err != nil {
			return nil, fmt.Errorf("events of queue %s: %w", q.name, err)
		}
	}
	b := q.backend
	client := NewBlockingClient(b.config.Connection, b.config.Prefix, ClientName(b.config.Prefix, q.name, "")+":qe")
	r := &eventReader{queue: q, client: client, at: after, empty: -1}
	// Nothing but this interrupts a read that waits.
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	forget, open := b.readers.add(client)
	if !open {
		stop()
		_ = client.Close()
		return nil, q.eventsError(ports.ErrClosed)
	}
	r.leave = []func(){func() { stop() }, forget}
	return r, nil
}

func (r *eventReader) close() {
	for _, leave := range r.leave {
		leave()
	}
	_ = r.client.Close()
}

// hand waits for events and hands them on, what was lost before them first; it
// returns whether to go on.
func (r *eventReader) hand(ctx context.Context, yield func(Event, error) bool) bool {
	entries, err := r.next(ctx)
	if err != nil {
		yield(Event{}, err)
		return false
	}
	if lost := r.lost; lost != nil {
		r.lost = nil
		if !yield(Event{}, lost) {
			return false
		}
	}
	for _, entry := range entries {
		if !yield(decodeEvent(entry.ID, entry.Values), nil) {
			return false
		}
	}
	return true
}

// begin finds the place to read from.
func (r *eventReader) begin(ctx context.Context) error {
	if r.at != EventsFromNow {
		return r.compare(ctx)
	}
	last, err := r.queue.LastEvent(ctx)
	r.at = last
	return err
}

// compare looks whether the stream still goes on after the last event that was
// read. Its end may lie before that: it was deleted, or the server lost what it
// had not saved. Reading goes on at the end then, so that nothing comes twice.
func (r *eventReader) compare(ctx context.Context) error {
	if r.at == EventsFromStart {
		return nil
	}
	ends, err := r.queue.eventEnds(ctx)
	if err != nil {
		return err
	}
	at, _ := r.at.place()
	last, _ := ends.last.place()
	if last.before(at) || at.before(last) && ends.first == "" {
		r.lose(ends.first)
		r.at = ends.last
	}
	r.empty = -1
	if ends.first == "" {
		r.empty = ends.removed
	}
	return nil
}

// suspect reports a loss between the last event that was read and the next,
// between which something may have been trimmed: the former is not there any
// more to show that nothing was. If the stream was found empty after it, all
// that was removed since then is counted.
func (r *eventReader) suspect(ctx context.Context, next EventID) error {
	if r.at == EventsFromStart {
		return nil
	}
	if r.empty >= 0 {
		ends, err := r.queue.eventEnds(ctx)
		if err != nil || ends.first == next && ends.removed == r.empty {
			return err
		}
	}
	r.lose(next)
	return nil
}

func (r *eventReader) lose(next EventID) {
	r.lost = &EventsLostError{Queue: r.queue.name, After: r.at, Next: next}
}

// next returns entries once there are some; or none, with a loss to report.
func (r *eventReader) next(ctx context.Context) ([]redis.XMessage, error) {
	for r.lost == nil {
		entries, kept, err := r.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			if err := r.compare(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if !kept {
			if err := r.suspect(ctx, EventID(entries[0].ID)); err != nil {
				return nil, err
			}
		}
		r.empty = -1
		r.at = EventID(entries[len(entries)-1].ID)
		return entries, nil
	}
	return nil, nil
}

// opEvents names the call in reports of failures.
const opEvents = "xread"

// read asks for entries until the server answers. kept tells whether the stream
// still holds something up to the last event that was read, and so everything
// after it.
func (r *eventReader) read(ctx context.Context) (entries []redis.XMessage, kept bool, err error) {
	b, wait := r.queue.backend, repeatFirst
	for {
		entries, kept, err = r.ask(ctx)
		switch {
		case err == nil:
			b.failures.answered(ctx, opEvents)
			return entries, kept, nil
		case b.isClosed():
			return nil, false, r.queue.eventsError(ports.ErrClosed)
		case ctx.Err() != nil:
			return nil, false, r.queue.eventsError(ctx.Err())
		case !passes(err):
			return nil, false, r.queue.eventsError(translate(opEvents, err))
		}
		b.failures.failed(ctx, opEvents, err)
		pause(ctx, wait)
		wait = min(2*wait, repeatMost)
	}
}

// eventsAtOnce is how many events one call brings at most.
const eventsAtOnce = 100

// ask waits for entries, [maxBlock] at most. The second command is carried out
// right after the first has its answer: if the stream holds an entry up to the
// last one read, nothing after that was trimmed before.
func (r *eventReader) ask(ctx context.Context) (entries []redis.XMessage, kept bool, err error) {
	var after *redis.XStreamSliceCmd
	var upTo *redis.XMessageSliceCmd
	key := r.queue.eventsKey()
	// The error is that of the first command, or of a connection that was
	// refused: the library does not tell the commands of the latter.
	_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		after = p.XRead(ctx, &redis.XReadArgs{Streams: []string{key, string(r.at)}, Count: eventsAtOnce, Block: maxBlock})
		upTo = p.XRangeN(ctx, key, "-", string(r.at), 1)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, err
	}
	held, err := upTo.Result()
	if err != nil {
		return nil, false, err
	}
	if streams := after.Val(); len(streams) > 0 {
		entries = streams[0].Messages
	}
	return entries, len(held) > 0, nil
}

// eventsBetween returns the first events after one up to another, that
// included; [eventsAtOnce] at most.
func (q *Queue) eventsBetween(ctx context.Context, after, until EventID) (events []Event, err error) {
	var entries []redis.XMessage
	err = q.backend.repeat(ctx, "xrange", func() (err error) {
		entries, err = q.backend.client.XRangeN(ctx, q.eventsKey(), "("+string(after), string(until), eventsAtOnce).Result()
		return err
	})
	if err != nil {
		return nil, q.eventsError(ended(ctx, err))
	}
	for _, entry := range entries {
		events = append(events, decodeEvent(entry.ID, entry.Values))
	}
	return events, nil
}

// eventConns are the connections that wait for events, which end with the backend.
type eventConns struct {
	mu     sync.Mutex
	closed bool
	open   map[*redis.Client]bool
}

// add takes a connection in until forget is called; not once the backend is
// closed.
func (r *eventConns) add(client *redis.Client) (forget func(), open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	if r.open == nil {
		r.open = map[*redis.Client]bool{}
	}
	r.open[client] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, client)
	}, true
}

func (r *eventConns) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for client := range r.open {
		_ = client.Close()
	}
}
