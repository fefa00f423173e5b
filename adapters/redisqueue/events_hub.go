package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// eventHubs are the readers of events that those share who wait for jobs, one a
// queue.
type eventHubs struct {
	loops sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[domain.QueueName]*eventHub
}

// eventHub hands the ends of a queue's jobs to those who wait for them.
type eventHub struct {
	hubs  *eventHubs
	queue *Queue
	stop  context.CancelFunc
	// ready is closed once what happens from then on will be read; over, when
	// nothing is read any more, because of err.
	ready, over chan struct{}
	err         error
	// from is the event after which the hub began to read; it is there once the
	// hub is ready.
	from EventID

	// What follows is guarded by the mutex of hubs.

	waiters map[domain.JobID]map[*jobWaiter]bool
	users   int
	// at is the latest event that was read, empty if there was none.
	at EventID
	// idle stops a hub that nobody has used for a while.
	idle *time.Timer
}

// lingers is how long a hub stays for the next who waits.
const lingers = 5 * time.Second

// jobWaiter waits for the end of one job.
type jobWaiter struct {
	hub *eventHub
	id  domain.JobID
	// since is an event before the wait.
	since EventID
	// heard holds a token once there is something in events.
	heard chan struct{}

	mu     sync.Mutex
	events []Event
	// doubt tells that an event may be missing.
	doubt bool
}

// join makes a waiter that hears of all that happens from now on.
func (w *eventHubs) join(ctx context.Context, q *Queue, id domain.JobID) (*jobWaiter, error) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil, ports.ErrClosed
	}
	h := w.open[q.name]
	if h == nil {
		h = w.start(q)
	}
	if h.idle != nil {
		h.idle.Stop()
	}
	h.users++
	joined := &jobWaiter{hub: h, id: id, since: h.at, heard: make(chan struct{}, 1)}
	if h.waiters[id] == nil {
		h.waiters[id] = map[*jobWaiter]bool{}
	}
	h.waiters[id][joined] = true
	w.mu.Unlock()
	select {
	case <-h.ready:
		joined.since = cmp.Or(joined.since, h.from)
		return joined, nil
	case <-h.over:
		joined.leave()
		return nil, h.err
	case <-ctx.Done():
		joined.leave()
		return nil, ctx.Err()
	}
}

// start starts the hub of a queue; it is called with mu held.
func (w *eventHubs) start(q *Queue) *eventHub {
	ctx, stop := context.WithCancel(context.Background())
	h := &eventHub{
		hubs: w, queue: q, stop: stop, ready: make(chan struct{}), over: make(chan struct{}),
		waiters: map[domain.JobID]map[*jobWaiter]bool{},
	}
	if w.open == nil {
		w.open = map[domain.QueueName]*eventHub{}
	}
	w.open[q.name] = h
	w.loops.Go(func() { h.run(ctx) })
	return h
}

// stop ends all hubs.
func (w *eventHubs) stop() {
	w.mu.Lock()
	w.closed = true
	for _, h := range w.open {
		if h.idle != nil {
			h.idle.Stop()
		}
		h.stop()
	}
	w.mu.Unlock()
}

// wait returns when all hubs have ended, of those that were stopped.
func (w *eventHubs) wait() { w.loops.Wait() }

// run reads events until ctx ends or reading fails for good.
func (h *eventHub) run(ctx context.Context) {
	defer h.stop()
	h.err = h.read(ctx)
	if h.queue.backend.isClosed() {
		h.err = ports.ErrClosed
	}
	h.hubs.mu.Lock()
	defer h.hubs.mu.Unlock()
	h.drop()
	close(h.over)
}

// drop makes the next who waits start another hub; it is called with mu held.
func (h *eventHub) drop() {
	if h.hubs.open[h.queue.name] == h {
		delete(h.hubs.open, h.queue.name)
	}
}

func (h *eventHub) read(ctx context.Context) error {
	from, err := h.queue.LastEvent(ctx)
	if err != nil {
		return err
	}
	h.from = from
	close(h.ready)
	for event, err := range h.queue.Events(ctx, from) {
		_, lost := errors.AsType[*EventsLostError](err)
		switch {
		case err == nil:
			h.hand(&event)
		case lost:
			h.doubt()
		default:
			return err
		}
	}
	return nil
}

// hand tells those of an event who wait for the end of its job.
func (h *eventHub) hand(event *Event) {
	h.hubs.mu.Lock()
	defer h.hubs.mu.Unlock()
	h.at = event.ID
	for w := range h.waiters[jobOf(event)] {
		w.hear(event)
	}
}

// jobOf returns the job whose end the event tells, none for other events.
func jobOf(event *Event) domain.JobID {
	switch e := event.Detail.(type) {
	case EventCompleted:
		return e.Job
	case EventFailed:
		return e.Job
	case EventRemoved:
		return e.Job
	}
	return ""
}

// doubt has all look at their jobs again.
func (h *eventHub) doubt() {
	h.hubs.mu.Lock()
	defer h.hubs.mu.Unlock()
	for _, waiters := range h.waiters {
		for w := range waiters {
			w.hear(nil)
		}
	}
}

// hear takes an event in; nil is for one that may be missing.
func (w *jobWaiter) hear(event *Event) {
	w.mu.Lock()
	if event == nil {
		w.doubt = true
	} else {
		w.events = append(w.events, *event)
	}
	w.mu.Unlock()
	select {
	case w.heard <- struct{}{}:
	default:
	}
}

// take returns what was heard since it was last called.
func (w *jobWaiter) take() (events []Event, doubt bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, doubt = w.events, w.doubt
	w.events, w.doubt = nil, false
	return events, doubt
}

// listen waits until an event after the given one tells the end of the job, or
// until it is to be looked at again: then it is not over, and there is no error.
func (w *jobWaiter) listen(ctx context.Context, after EventID, again <-chan time.Time) (jobEnd, error) {
	for {
		select {
		case <-ctx.Done():
			return jobEnd{}, ctx.Err()
		case <-w.hub.over:
			return jobEnd{}, w.hub.err
		case <-again:
			return jobEnd{}, nil
		case <-w.heard:
		}
		events, doubt := w.take()
		for i := range events {
			if !events[i].isAfter(after) {
				continue
			}
			if _, removed := events[i].Detail.(EventRemoved); removed {
				return jobEnd{}, nil // there may be another job of this id
			}
			return w.hub.queue.finishOf(&events[i])
		}
		if doubt {
			return jobEnd{}, nil
		}
	}
}

// ended looks for the latest end of the job from the wait's beginning up to the
// given event: of one that is gone by then, the hub may not have heard yet.
func (w *jobWaiter) ended(ctx context.Context, until EventID) (end jobEnd, err error) {
	q, after := w.hub.queue, w.since
	for {
		events, readErr := q.eventsBetween(ctx, after, until)
		if readErr != nil {
			return jobEnd{}, readErr
		}
		for i := range events {
			if jobOf(&events[i]) == w.id {
				end, err = q.finishOf(&events[i])
			}
		}
		if len(events) < eventsAtOnce {
			return end, err
		}
		after = events[len(events)-1].ID
	}
}

// isAfter compares ids that the server gave.
func (e *Event) isAfter(other EventID) bool {
	mine, _ := e.ID.place()
	theirs, _ := other.place()
	return theirs.before(mine)
}

// leave takes the waiter out of its hub.
func (w *jobWaiter) leave() {
	h, all := w.hub, w.hub.hubs
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(h.waiters[w.id], w)
	if len(h.waiters[w.id]) == 0 {
		delete(h.waiters, w.id)
	}
	h.users--
	if h.users > 0 || all.closed {
		return
	}
	h.idle = time.AfterFunc(lingers, func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		if h.users == 0 {
			h.drop()
			h.stop()
		}
	})
}
