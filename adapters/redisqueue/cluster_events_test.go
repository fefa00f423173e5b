package redisqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

// publisher writes numbered events into a queue's stream, one after the other.
type publisher struct {
	queue *redisqueue.Queue
	next  int
}

// publish writes n events.
func (p *publisher) publish(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for range n {
		if _, err := p.queue.PublishEvent(ctx, "mine", map[string]string{"i": strconv.Itoa(p.next)}); err != nil {
			if ctx.Err() == nil {
				t.Errorf("PublishEvent = %v, want no error", err)
			}
			return
		}
		p.next++
	}
}

// watchedEvents returns a reader of the queue "q", from now on, and a publisher.
func watchedEvents(t *testing.T, backend *redisqueue.Backend) (*watch, *publisher) {
	t.Helper()
	queue, err := backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w := (&eventQueue{Queue: queue}).watch(ctx, redisqueue.EventsFromStart)
	t.Cleanup(func() {
		stop()
		if err := await(t, "the end of the reader", w.ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Events = %v, want %v", err, context.Canceled)
		}
	})
	return w, &publisher{queue: queue}
}

func TestEventsAreReadOnceWhileTheirSlotMoves(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	w, p := watchedEvents(t, openCluster(t, cluster, nil))
	p.publish(t.Context(), t, 10)
	w.wantEach(t, 0, 10)
	for half := range uint32(2) {
		from, to := ownerAndOther(cluster, "{bull}")
		before := p.next
		var publishing sync.WaitGroup
		publishing.Go(func() { p.publish(t.Context(), t, 200) })
		moving := cluster.BeginMove(cluster.Slot("{bull}"), from, to)
		moving.Take(chosen(half))
		redistest.Pass(200 * time.Millisecond)
		moving.Finish()
		publishing.Wait()
		w.wantEach(t, before, p.next)
	}
}

// idsUpTo are those of the events that the stream holds.
func idsUpTo(t *testing.T, queue *redisqueue.Queue, last redisqueue.EventID) []redisqueue.EventID {
	t.Helper()
	var ids []redisqueue.EventID
	for event, err := range queue.Events(t.Context(), redisqueue.EventsFromStart) {
		if err != nil {
			t.Fatalf("Events = %v, want those that the stream holds", err)
		}
		if ids = append(ids, event.ID); event.ID == last {
			break
		}
	}
	return ids
}

// An event that the old primary alone had, of a call that it did not answer, is
// written again with another id. What the stream holds is read, once.
func TestEventsAreReadOnAfterANodeOfTheClusterDies(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	cluster.AwaitCalm()
	w, p := watchedEvents(t, openCluster(t, cluster, nil))
	ctx, stop := context.WithCancel(t.Context())
	var publishing sync.WaitGroup
	defer publishing.Wait()
	defer stop()
	const endless = 1 << 20
	publishing.Go(func() { p.publish(ctx, t, endless) })
	seen := map[redisqueue.EventID]bool{}
	read := func() redisqueue.Event {
		event := await(t, "an event", w.events)
		if seen[event.ID] {
			t.Errorf("event %s came twice", event.ID)
		}
		seen[event.ID] = true
		return event
	}
	for range 50 {
		read()
	}
	old := cluster.Owner("{bull}")
	old.Kill()
	_, serving := cluster.AwaitOwner("{bull}", old)
	last := read()
	for after := 0; after < 50; last = read() {
		if last.ID.Time().After(serving) {
			after++
		}
	}
	stop()
	publishing.Wait()
	ids := idsUpTo(t, p.queue, last.ID)
	for _, id := range ids {
		if !seen[id] {
			t.Errorf("event %s is in the stream and was not read", id)
		}
	}
	// A reader that kept its place goes on there.
	for event, err := range p.queue.Events(t.Context(), ids[0]) {
		if err != nil || event.ID != ids[1] {
			t.Errorf("after %s comes %s, %v, want %s", ids[0], event.ID, err, ids[1])
		}
		break
	}
}

func TestAReaderIsToldThatAFailoverLostEvents(t *testing.T) {
	t.Parallel()
	l, log := lagging{Sentinels: redistest.StartSentinels(t, 1), t: t}, &diary{}
	backend := openSentinels(t, l.Sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	w, p := watchedEvents(t, backend)
	p.publish(t.Context(), t, 3)
	w.wantEach(t, 0, 3)
	l.cutOff()
	p.publish(t.Context(), t, 3)
	w.wantEach(t, 3, 6)
	l.failOver()
	if lost := await(t, "the loss", w.lost); lost.After == "" {
		t.Errorf("the loss is %+v, want it after the last event that was read", lost)
	}
	p.publish(t.Context(), t, 3)
	w.wantEach(t, 6, 9)
	if line := lineWith(log.String(), "a failover lost calls"); line == "" {
		t.Errorf("the log is %s, want the calls that published them", log)
	}
}
