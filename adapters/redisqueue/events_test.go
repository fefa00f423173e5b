package redisqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// eventPatience bounds every wait for events.
const eventPatience = 20 * time.Second

// eventQueue is the queue "q" as one reads its events.
type eventQueue struct {
	*rawQueue
	*redisqueue.Queue
}

// newEventQueue starts a server of its own with the arguments.
func newEventQueue(t testing.TB, args ...string) *eventQueue {
	t.Helper()
	server := redistest.Start(t, args...)
	raw := &rawQueue{TB: t, server: server, rdb: server.Client(), backend: open(t, server, nil)}
	queue, err := raw.backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	return &eventQueue{rawQueue: raw, Queue: queue}
}

// write appends an entry and returns its id.
func (q *eventQueue) write(fields ...any) redisqueue.EventID {
	q.Helper()
	id, err := q.rdb.XAdd(q.Context(), &redis.XAddArgs{Stream: "bull:q:events", Values: fields}).Result()
	if err != nil {
		q.Fatalf("XADD = %v, want no error", err)
	}
	return redisqueue.EventID(id)
}

// number appends entries of the name n that are numbered.
func (q *eventQueue) number(from, to int) (last redisqueue.EventID) {
	q.Helper()
	for i := from; i < to; i++ {
		last = q.write("event", "n", "i", i)
	}
	return last
}

// take reads n events after the given one.
func (q *eventQueue) take(after redisqueue.EventID, n int) []redisqueue.Event {
	q.Helper()
	ctx, cancel := context.WithTimeout(q.Context(), eventPatience)
	defer cancel()
	var events []redisqueue.Event
	for event, err := range q.Events(ctx, after) {
		if err != nil {
			q.Fatalf("Events(%s) = %v after %d events, want %d", after, err, len(events), n)
		}
		if events = append(events, event); len(events) == n {
			break
		}
	}
	return events
}

// numbers are those of the events of [eventQueue.number].
func numbers(events []redisqueue.Event) []string {
	var read []string
	for _, event := range events {
		read = append(read, event.Fields["i"])
	}
	return read
}

func upTo(from, to int) []string {
	var want []string
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprint(i))
	}
	return want
}

func TestEvents_AreWhatBullMQWrites(t *testing.T) {
	cases := []struct {
		entry string
		want  redisqueue.EventDetail
	}{
		{"added jobId 1 name send", redisqueue.EventAdded{Job: "1", Name: "send"}},
		{"waiting jobId 1", redisqueue.EventWaiting{Job: "1"}},
		{"waiting jobId 1 prev delayed", redisqueue.EventWaiting{Job: "1", Prev: "delayed"}},
		{"delayed jobId 1 delay 1795422887233", redisqueue.EventDelayed{Job: "1", Due: time.UnixMilli(1795422887233).UTC()}},
		{"active jobId 1 prev waiting", redisqueue.EventActive{Job: "1", Prev: "waiting"}},
		{`progress jobId 1 data {"p":1}`, redisqueue.EventProgress{Job: "1", Progress: json.RawMessage(`{"p":1}`)}},
		{"completed jobId 1 returnvalue null prev active", redisqueue.EventCompleted{Job: "1", Result: json.RawMessage("null"), Prev: "active"}},
		{"failed jobId 1 failedReason busy prev active", redisqueue.EventFailed{Job: "1", Reason: "busy", Prev: "active"}},
		{"retries-exhausted jobId 1 attemptsMade 3", redisqueue.EventRetriesExhausted{Job: "1", AttemptsMade: 3}},
		{"stalled jobId 1", redisqueue.EventStalled{Job: "1"}},
		{"waiting-children jobId 1 prev active", redisqueue.EventWaitingChildren{Job: "1", Prev: "active"}},
		{"duplicated jobId 1", redisqueue.EventDuplicated{Job: "1"}},
		{"deduplicated jobId 1 deduplicationId k deduplicatedJobId 2", redisqueue.EventDeduplicated{Job: "1", Key: "k", Dropped: "2"}},
		{"debounced jobId 1 debounceId k", redisqueue.EventDebounced{Job: "1", Key: "k"}},
		{"removed jobId 1 prev wait", redisqueue.EventRemoved{Job: "1", Prev: "wait"}},
		{"cleaned count 7", redisqueue.EventCleaned{Count: 7}},
		{"drained", redisqueue.EventDrained{}},
		{"paused", redisqueue.EventPaused{}},
		{"resumed", redisqueue.EventResumed{}},
		{"mine a 1 b 2", redisqueue.EventCustom{}},
	}
	q := newEventQueue(t)
	for _, c := range cases {
		values := []any{"event"}
		for word := range strings.FieldsSeq(c.entry) {
			values = append(values, word)
		}
		q.write(values...)
	}
	before := time.Now().Add(-time.Minute)
	for i, event := range q.take(redisqueue.EventsFromStart, len(cases)) {
		name, _, _ := strings.Cut(cases[i].entry, " ")
		if diff := cmp.Diff(cases[i].want, event.Detail); diff != "" || event.Name != name || event.Damage != nil {
			t.Errorf("%s: name %q, damage %v (-want +got):\n%s", cases[i].entry, event.Name, event.Damage, diff)
		}
		if at := event.ID.Time(); at.Before(before) || at.After(time.Now().Add(time.Minute)) {
			t.Errorf("%s: id %s is of %s, want now", cases[i].entry, event.ID, at)
		}
		if name == "mine" && !cmp.Equal(event.Fields, map[string]string{"a": "1", "b": "2"}) {
			t.Errorf("fields of mine = %v, want a and b", event.Fields)
		}
	}
}

func TestEvents_OfDamagedEntriesDoNotStopTheOthers(t *testing.T) {
	cases := []struct {
		fields []any
		want   redisqueue.EventDetail
		damage string
	}{
		{[]any{"event", "completed", "jobId", "1", "returnvalue", "{", "prev", "active"}, redisqueue.EventCompleted{Job: "1", Prev: "active"}, "returnvalue is not JSON"},
		{[]any{"event", "completed", "jobId", "1", "returnvalue", ""}, redisqueue.EventCompleted{Job: "1"}, "returnvalue is not JSON"},
		{[]any{"event", "completed"}, redisqueue.EventCompleted{}, "no field jobId\nit has no field returnvalue"},
		{[]any{"event", "progress", "jobId", "1", "data", "NaN"}, redisqueue.EventProgress{Job: "1"}, "data is not JSON"},
		{[]any{"event", "delayed", "jobId", "1", "delay", "soon"}, redisqueue.EventDelayed{Job: "1"}, "delay is not a time"},
		{[]any{"event", "delayed", "jobId", "1", "delay", "1e400"}, redisqueue.EventDelayed{Job: "1"}, "delay is not a time"},
		{[]any{"event", "retries-exhausted", "jobId", "1", "attemptsMade", "-1"}, redisqueue.EventRetriesExhausted{Job: "1"}, "attemptsMade is not a count"},
		{[]any{"event", "cleaned", "count", "99999999999999999999"}, redisqueue.EventCleaned{Count: 1<<31 - 1}, "count is not a count"},
		{[]any{"jobId", "1"}, redisqueue.EventCustom{}, "no field event"},
		{[]any{"event", "failed", "jobId", "\xff\x00", "failedReason", "\xff"}, redisqueue.EventFailed{Job: "\xff\x00", Reason: "\xff"}, ""},
	}
	q := newEventQueue(t)
	for _, c := range cases {
		q.write(c.fields...)
	}
	for i, event := range q.take(redisqueue.EventsFromStart, len(cases)) {
		c := cases[i]
		if diff := cmp.Diff(c.want, event.Detail, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.fields, diff)
		}
		switch {
		case c.damage == "" && event.Damage != nil:
			t.Errorf("%q: damage %v, want none", c.fields, event.Damage)
		case c.damage != "" && (!errors.Is(event.Damage, domain.ErrInvalid) || !strings.Contains(event.Damage.Error(), c.damage)):
			t.Errorf("%q: damage %v, want %s", c.fields, event.Damage, c.damage)
		}
	}
}

func TestEvents_GoOnAfterTheOneThatWasReadLast(t *testing.T) {
	q := newEventQueue(t)
	q.number(0, 350)
	first := q.take(redisqueue.EventsFromStart, 123)
	q.number(350, 400)
	rest := q.take(first[122].ID, 277)
	if got := numbers(append(first, rest...)); !slices.Equal(got, upTo(0, 400)) {
		t.Errorf("two readers read %v, want each event once", got)
	}
}

func TestEvents_FromNowAreThoseToCome(t *testing.T) {
	q := newEventQueue(t)
	last := q.number(0, 10)
	if at, err := q.LastEvent(t.Context()); at != last || err != nil {
		t.Errorf("LastEvent = %s, %v, want %s", at, err, last)
	}
	ctx, cancel := context.WithTimeout(t.Context(), eventPatience)
	defer cancel()
	seen := make(chan string)
	go func() {
		defer close(seen)
		for event, err := range q.Events(ctx, redisqueue.EventsFromNow) {
			if err != nil {
				return
			}
			seen <- event.Fields["i"]
		}
	}()
	for n := 10; ; n++ {
		q.number(n, n+1)
		select {
		case i, open := <-seen:
			if !open || len(i) < 2 {
				t.Errorf("the first event = %q, want one after the first ten", i)
			}
			cancel()
			for range seen {
			}
			return
		case <-time.After(20 * time.Millisecond): // it may not have begun yet
		}
	}
}

func TestEvents_OfAQueueThatIsNotThereYetAreAwaited(t *testing.T) {
	q := newEventQueue(t)
	at, err := q.LastEvent(t.Context())
	if at != redisqueue.EventsFromStart || err != nil {
		t.Fatalf("LastEvent = %s, %v, want the start", at, err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		<-time.After(50 * time.Millisecond)
		q.number(0, 3)
	}()
	defer func() { <-written }()
	if got := numbers(q.take(at, 3)); !slices.Equal(got, upTo(0, 3)) {
		t.Errorf("read %v, want three events", got)
	}
}

// watch reads events in the background: what it read, and the losses that were
// reported.
type watch struct {
	events chan redisqueue.Event
	lost   chan *redisqueue.EventsLostError
	ended  chan error
}

func (q *eventQueue) watch(ctx context.Context, after redisqueue.EventID) *watch {
	w := &watch{make(chan redisqueue.Event, 100000), make(chan *redisqueue.EventsLostError, 100), make(chan error, 1)}
	go func() {
		var last error
		for event, err := range q.Events(ctx, after) {
			last = err
			if lost, is := errors.AsType[*redisqueue.EventsLostError](err); is {
				w.lost <- lost
			} else if err == nil {
				w.events <- event
			}
		}
		w.ended <- last
	}()
	return w
}

func await[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(eventPatience):
		t.Fatalf("waited %s for %s", eventPatience, what)
		panic("unreachable")
	}
}

func TestEvents_ThatWereTrimmedAreReportedAsLost(t *testing.T) {
	q := newEventQueue(t)
	first := q.number(0, 1)
	q.number(1, 20)
	q.do("XTRIM bull:q:events MAXLEN 5")
	w := q.watch(t.Context(), first)
	lost, event := await(t, "the loss", w.lost), await(t, "an event", w.events)
	if lost.After != first || lost.Next != event.ID || event.Fields["i"] != "15" || lost.Queue != "q" {
		t.Errorf("lost %+v, next %v, want what lies between the first and the sixteenth", lost, event.Fields)
	}
	for range 4 {
		await(t, "an event", w.events)
	}
	q.number(20, 22)
	if event := await(t, "an event", w.events); event.Fields["i"] != "20" || len(w.lost) != 0 {
		t.Errorf("event %v, %d more losses, want the next event and none", event.Fields, len(w.lost))
	}
}

func TestEvents_AreNotSaidToBeLostWhenTheLastOneReadIsThere(t *testing.T) {
	q := newEventQueue(t)
	q.number(0, 10)
	last := q.number(10, 11)
	q.number(11, 13)
	q.do("XTRIM bull:q:events MAXLEN 3")
	if got := numbers(q.take(last, 2)); !slices.Equal(got, upTo(11, 13)) {
		t.Errorf("read %v, want the two events", got)
	}
}

func TestEvents_OfAStreamThatIsGoneAreReportedAsLost(t *testing.T) {
	t.Parallel()
	for name, destroy := range map[string]string{
		"deleted": "DEL bull:q:events", "flushed": "FLUSHALL", "trimmed to nothing": "XTRIM bull:q:events MAXLEN 0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newEventQueue(t)
			first := q.number(0, 1)
			q.number(1, 5)
			q.do(destroy)
			w := q.watch(t.Context(), first)
			if lost := await(t, "the loss", w.lost); lost.After != first || lost.Next != "" {
				t.Errorf("lost = %+v, want all after the first", lost)
			}
			q.number(5, 7)
			for _, want := range upTo(5, 7) {
				if event := await(t, "an event", w.events); event.Fields["i"] != want {
					t.Errorf("event %v, want %s", event.Fields, want)
				}
			}
			// Under a reader that waits.
			q.do("FLUSHALL")
			if lost := await(t, "the loss", w.lost); lost.Next != "" {
				t.Errorf("lost = %+v, want all", lost)
			}
			q.number(7, 8)
			if event := await(t, "an event", w.events); event.Fields["i"] != "7" {
				t.Errorf("event %v, want 7", event.Fields)
			}
		})
	}
}

func TestEvents_AreNotSaidToBeLostWhenAllThatWasReadIsTrimmed(t *testing.T) {
	q := newEventQueue(t)
	last := q.number(0, 5)
	q.do("XTRIM bull:q:events MAXLEN 0")
	w := q.watch(t.Context(), last)
	q.awaitListening()
	q.number(5, 7)
	w.wantEach(t, 5, 7)
	q.number(7, 9)
	w.wantEach(t, 7, 9)
}

// TestEvents_OfAServerThatForgotTheLatestAreNotRepeated has ids go back, as
// after a crash of a server that had not saved everything.
func TestEvents_OfAServerThatForgotTheLatestAreNotRepeated(t *testing.T) {
	q := newEventQueue(t)
	q.number(0, 5)
	w := q.watch(t.Context(), "99999999999999-0")
	if lost := await(t, "the report", w.lost); lost.After != "99999999999999-0" {
		t.Errorf("lost = %+v, want it reported", lost)
	}
	q.number(5, 6)
	if event := await(t, "an event", w.events); event.Fields["i"] != "5" {
		t.Errorf("event %v, want the new one alone", event.Fields)
	}
}

func TestEvents_EndWithTheContextTheBackendAndTheLoop(t *testing.T) {
	q := newEventQueue(t)
	q.number(0, 1)
	readers := func() int {
		clients, err := q.rdb.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(clients, " name=bull:cQ==:qe ")
	}
	awaitReaders := func(n int) {
		t.Helper()
		deadline := time.Now().Add(eventPatience)
		for readers() != n {
			if time.Now().After(deadline) {
				t.Fatalf("%d connections named bull:cQ==:qe, want %d", readers(), n)
			}
		}
	}
	q.take(redisqueue.EventsFromStart, 1)
	awaitReaders(0)

	ctx, cancel := context.WithCancel(t.Context())
	w := q.watch(ctx, redisqueue.EventsFromStart)
	await(t, "an event", w.events)
	awaitReaders(1)
	began := time.Now()
	cancel()
	if err := await(t, "the end", w.ended); !errors.Is(err, context.Canceled) || time.Since(began) > time.Second {
		t.Errorf("after its context the loop ended with %v after %s, want its error at once", err, time.Since(began))
	}
	awaitReaders(0)

	w = q.watch(t.Context(), redisqueue.EventsFromStart)
	await(t, "an event", w.events)
	_ = q.backend.Close()
	if err := await(t, "the end", w.ended); !errors.Is(err, ports.ErrClosed) {
		t.Errorf("with its backend the loop ended with %v, want %v", err, ports.ErrClosed)
	}
	for _, err := range q.Events(t.Context(), redisqueue.EventsFromStart) {
		if !errors.Is(err, ports.ErrClosed) {
			t.Errorf("Events of a closed backend = %v, want %v", err, ports.ErrClosed)
		}
	}
	awaitReaders(0)
}

func TestEvents_RefuseWhatIsNoIDAndNoStream(t *testing.T) {
	q := newEventQueue(t)
	for _, id := range []redisqueue.EventID{"$", "-", "x", "1-", "-1", "1-2-3", "99999999999999999999999"} {
		for _, err := range q.Events(t.Context(), id) {
			if !errors.Is(err, domain.ErrInvalid) {
				t.Errorf("Events(%q) = %v, want %v", id, err, domain.ErrInvalid)
			}
		}
	}
	q.do("SET bull:q:events text")
	for _, id := range []redisqueue.EventID{redisqueue.EventsFromNow, redisqueue.EventsFromStart, "1-1"} {
		n := 0
		for _, err := range q.Events(t.Context(), id) {
			if n++; n > 1 || err == nil || !strings.Contains(err.Error(), "bull:q:events") {
				t.Errorf("Events(%q) of a string = %v (%d), want one error with the key", id, err, n)
			}
		}
	}
}

func TestPublishEvent_IsReadAsItWas(t *testing.T) {
	q := newEventQueue(t)
	fields := map[string]string{"jobId": "7", "text": "a \"b\"\n\xff", "empty": ""}
	id, err := q.PublishEvent(t.Context(), "mine", fields)
	if err != nil {
		t.Fatal(err)
	}
	event := q.take(redisqueue.EventsFromStart, 1)[0]
	want := redisqueue.Event{ID: id, Name: "mine", Detail: redisqueue.EventCustom{}, Fields: fields}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	// As a QueueEventsProducer of Node.
	if settings := q.rdb.HGetAll(t.Context(), "bull:q:meta").Val(); len(settings) > 0 {
		t.Errorf("settings = %v, want none: they are not the publisher's", settings)
	}
}

func TestPublishEvent_RefusesWhatReadersWouldStumbleOver(t *testing.T) {
	q := newEventQueue(t)
	for name, fields := range map[string]map[string]string{
		"": nil, "completed": {"jobId": "1"}, "drained": nil, "a": {"event": "b"}, "b": {"": "x"},
	} {
		if _, err := q.PublishEvent(t.Context(), name, fields); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("PublishEvent(%q, %v) = %v, want %v", name, fields, err, domain.ErrInvalid)
		}
	}
	large := map[string]string{"x": strings.Repeat("x", 256<<10)}
	if _, err := q.PublishEvent(t.Context(), "c", large); !errors.Is(err, domain.ErrTooLarge) {
		t.Errorf("PublishEvent of 256 KiB and more = %v, want %v", err, domain.ErrTooLarge)
	}
	if n := q.rdb.Exists(t.Context(), "bull:q:events").Val(); n != 0 {
		t.Error("something was written")
	}
}

func TestPublishEvent_TrimsToWhatTheQueueKeeps(t *testing.T) {
	q := newEventQueue(t)
	q.do("HSET bull:q:meta opts.maxLenEvents 10")
	for range 500 {
		if _, err := q.PublishEvent(t.Context(), "mine", nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := q.rdb.XLen(t.Context(), "bull:q:events").Val(); n < 10 || n > 250 {
		t.Errorf("%d events are left, want about ten", n)
	}
}

// FuzzEvent looks for entries that harm their reader.
func FuzzEvent(f *testing.F) {
	f.Add("completed", "jobId", "1", "returnvalue", "{}")
	f.Add("delayed", "jobId", "1", "delay", "1795422887233")
	f.Add("cleaned", "count", "7", "", "")
	f.Add("", "event", "failed", "data", "null")
	f.Fuzz(func(t *testing.T, name, field, value, other, more string) {
		event := redisqueue.DecodeEvent("1-1", map[string]any{"event": name, field: value, other: more})
		if event.Detail == nil || event.ID.Time().IsZero() {
			t.Errorf("event = %+v, want a detail and a time", event)
		}
		if done, is := event.Detail.(redisqueue.EventCompleted); is && done.Result != nil && !json.Valid(done.Result) {
			t.Errorf("result = %q, want JSON or nothing", done.Result)
		}
	})
}
