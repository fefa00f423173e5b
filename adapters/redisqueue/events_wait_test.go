package redisqueue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// waited is what a wait ended with.
type waited struct {
	result json.RawMessage
	err    error
}

// waitFor waits for a job in the background.
func (q *eventQueue) waitFor(ctx context.Context, id domain.JobID) <-chan waited {
	ended := make(chan waited, 1)
	go func() {
		result, err := q.WaitUntilFinished(ctx, id)
		ended <- waited{result, err}
	}()
	return ended
}

// awaitListening waits until one connection, and no more, waits for events.
func (q *eventQueue) awaitListening() {
	q.Helper()
	deadline := time.Now().Add(eventPatience)
	for {
		clients, err := q.rdb.ClientList(q.Context()).Result()
		if err != nil {
			q.Fatal(err)
		}
		blocked := 0
		for line := range strings.Lines(clients) {
			if strings.Contains(line, "cmd=xread") {
				blocked++
			}
		}
		if blocked == 1 {
			return
		}
		if time.Now().After(deadline) {
			q.Fatalf("%d connections wait for events, want one", blocked)
		}
	}
}

// finishNext takes the next job and ends it.
func (q *eventQueue) finishNext(c ports.Consumer, outcome domain.Outcome) {
	q.Helper()
	leases, err := c.Reserve(q.Context(), 1)
	if err != nil || len(leases) != 1 {
		q.Fatalf("Reserve = %v, %v, want a lease", leases, err)
	}
	reply, err := c.Settle(q.Context(), []domain.Settlement{{Lease: leases[0].Ref(), Outcome: outcome}}, 0)
	if err != nil || reply.Statuses[0] != domain.Settled {
		q.Fatalf("Settle = %v, %v, want it settled", reply, err)
	}
}

var (
	sent   = domain.Outcome{Kind: domain.Completed, Result: []byte(`{"sent":true}`)}
	broken = domain.Outcome{Kind: domain.Failed, Reason: "no \"luck\"\nat all"}
)

func (w waited) wantSent(t *testing.T) {
	t.Helper()
	if w.err != nil || string(w.result) != `{"sent":true}` {
		t.Errorf("WaitUntilFinished = %s, %v, want the result", w.result, w.err)
	}
}

func (w waited) wantFailed(t *testing.T, id domain.JobID) {
	t.Helper()
	failed, is := errors.AsType[*redisqueue.JobFailedError](w.err)
	if !is || failed.ID != id || failed.Queue != "q" || failed.Reason != broken.Reason {
		t.Errorf("WaitUntilFinished = %s, %v, want the failure of job %s", w.result, w.err, id)
	}
}

func TestWaitUntilFinished_TellsHowTheJobEnds(t *testing.T) {
	q := newEventQueue(t)
	c := q.consumer()
	q.add(domain.JobOptions{})
	q.add(domain.JobOptions{})
	first, second := q.waitFor(t.Context(), "1"), q.waitFor(t.Context(), "2")
	q.awaitListening()
	q.finishNext(c, sent)
	q.finishNext(c, broken)
	await(t, "the first", first).wantSent(t)
	await(t, "the second", second).wantFailed(t, "2")
	// It is known already.
	await(t, "the first", q.waitFor(t.Context(), "1")).wantSent(t)
	await(t, "the second", q.waitFor(t.Context(), "2")).wantFailed(t, "2")
}

func TestWaitUntilFinished_TellsTheEndOfAJobThatIsNotKept(t *testing.T) {
	q := newEventQueue(t)
	q.add(domain.JobOptions{KeepCompleted: domain.KeepNone()})
	ended := q.waitFor(t.Context(), "1")
	q.awaitListening()
	q.finishNext(q.consumer(), sent)
	await(t, "the end", ended).wantSent(t)
	if w := await(t, "the end", q.waitFor(t.Context(), "1")); !errors.Is(w.err, ports.ErrNotFound) {
		t.Errorf("WaitUntilFinished of a job that is gone = %v, want %v", w.err, ports.ErrNotFound)
	}
}

// The job ends, and is removed, after its events are listened to and before it
// is looked at: the hub may have heard of its end or not.
func TestWaitUntilFinished_TellsTheEndThatCameBeforeTheFirstLook(t *testing.T) {
	for _, c := range []struct {
		outcome domain.Outcome
		want    func(waited)
	}{
		{sent, func(w waited) { w.wantSent(t) }},
		{broken, func(w waited) { w.wantFailed(t, "1") }},
	} {
		q := newEventQueue(t)
		worker := q.consumer()
		q.add(domain.JobOptions{KeepCompleted: domain.KeepNone(), KeepFailed: domain.KeepNone()})
		redisqueue.BeforeScript(q.backend, "events_finished", func() { q.finishNext(worker, c.outcome) })
		c.want(await(t, "the end", q.waitFor(t.Context(), "1")))
	}
}

func TestWaitUntilFinished_OfAJobThatIsRemovedFindsNone(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(q *eventQueue){
		"by us": func(q *eventQueue) {
			if _, err := q.backend.Apply(q.Context(), "q", domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{"1"}}); err != nil {
				q.Errorf("Apply = %v, want no error", err)
			}
		},
		"with everything": func(q *eventQueue) { q.do("FLUSHALL") },
		"without a trace": func(q *eventQueue) { q.do("DEL bull:q:1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newEventQueue(t)
			q.add(domain.JobOptions{})
			ended := q.waitFor(t.Context(), "1")
			q.awaitListening()
			remove(q)
			if w := await(t, "the end", ended); !errors.Is(w.err, ports.ErrNotFound) {
				t.Errorf("WaitUntilFinished = %v, want %v", w.err, ports.ErrNotFound)
			}
		})
	}
}

// TestWaitUntilFinished_IsAboutWhatComes has a job fail, be retried by hand
// and waited for only then.
func TestWaitUntilFinished_IsAboutWhatComes(t *testing.T) {
	q := newEventQueue(t)
	c := q.consumer()
	q.add(domain.JobOptions{})
	early := q.waitFor(t.Context(), "1")
	q.awaitListening()
	q.finishNext(c, broken)
	await(t, "the failure", early).wantFailed(t, "1")
	if _, err := q.backend.Apply(t.Context(), "q", domain.Operation{Kind: domain.OpRetry, IDs: []domain.JobID{"1"}}); err != nil {
		t.Fatal(err)
	}
	late := q.waitFor(t.Context(), "1")
	q.finishNext(c, sent)
	await(t, "the end", late).wantSent(t)
}

// TestWaitUntilFinished_IgnoresNewsThatComeLate has a failure told only after
// the job was retried, to one who waits since then.
func TestWaitUntilFinished_IgnoresNewsThatComeLate(t *testing.T) {
	t.Parallel()
	q, p := behind(t)
	p.Set(proxy.Every(1, proxy.Verdict{Delay: time.Second}, func(request []byte) bool { return bytes.Contains(request, []byte("xread")) }))
	near := open(t, q.server, nil)
	q.backend = near
	c := q.consumer()
	q.add(domain.JobOptions{ID: "first"})
	other := q.waitFor(t.Context(), "first") // so that events are read already
	q.awaitListening()
	q.finishNext(c, broken)
	if _, err := near.Apply(t.Context(), "q", domain.Operation{Kind: domain.OpRetry, IDs: []domain.JobID{"first"}}); err != nil {
		t.Fatal(err)
	}
	late := q.waitFor(t.Context(), "first")
	await(t, "the failure", other).wantFailed(t, "first")
	q.finishNext(c, sent)
	await(t, "the end", late).wantSent(t)
}

func TestWaitUntilFinished_EndsWithItsContextAndItsBackend(t *testing.T) {
	q := newEventQueue(t)
	q.add(domain.JobOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if w := await(t, "the end", q.waitFor(ctx, "1")); !errors.Is(w.err, context.DeadlineExceeded) {
		t.Errorf("WaitUntilFinished = %v, want %v", w.err, context.DeadlineExceeded)
	}
	ended := q.waitFor(t.Context(), "1")
	q.awaitListening()
	_ = q.backend.Close()
	for range 2 {
		if w := await(t, "the end", ended); !errors.Is(w.err, ports.ErrClosed) {
			t.Errorf("WaitUntilFinished = %v, want %v", w.err, ports.ErrClosed)
		}
		ended = q.waitFor(t.Context(), "1")
	}
}

func TestWaitUntilFinished_SaysWhatIsDamaged(t *testing.T) {
	q := newEventQueue(t)
	q.do("HSET bull:q:1 name n returnvalue {", "ZADD bull:q:completed 1 1", "RPUSH bull:q:2 x", "ZADD bull:q:failed 1 2", "HSET bull:q:3 name n")
	for id, word := range map[domain.JobID]string{"1": "bull:q:1", "2": "WRONGTYPE"} {
		if w := await(t, "the end", q.waitFor(t.Context(), id)); w.err == nil || !strings.Contains(w.err.Error(), word) {
			t.Errorf("WaitUntilFinished(%s) = %v, want an error with %s", id, w.err, word)
		}
	}
	if w := await(t, "the end", q.waitFor(t.Context(), "meta")); !errors.Is(w.err, ports.ErrNotFound) {
		t.Errorf("WaitUntilFinished(meta) = %v, want %v", w.err, ports.ErrNotFound)
	}
	ended := q.waitFor(t.Context(), "3")
	// Only events after the wait has begun count, and the job itself is not ended.
	for began := time.Now(); len(ended) == 0 && time.Since(began) < eventPatience; {
		q.write("event", "completed", "jobId", "3", "returnvalue", "NaN")
		redistest.Pass(5 * time.Millisecond)
	}
	if w := await(t, "the end", ended); w.err == nil || !strings.Contains(w.err.Error(), "bull:q:3") {
		t.Errorf("WaitUntilFinished(3) = %v, want an error with its key", w.err)
	}
	ended = q.waitFor(t.Context(), "3")
	q.do("SET bull:q:events text")
	if w := await(t, "the end", ended); w.err == nil || !strings.Contains(w.err.Error(), "events") {
		t.Errorf("WaitUntilFinished(3) = %v, want an error with the key of the stream", w.err)
	}
}

func TestWaitUntilFinished_OfManyJobsSharesOneConnectionThroughAnOutage(t *testing.T) {
	t.Parallel()
	const jobs = 200
	q, p := behind(t)
	c := q.consumer()
	var all sync.WaitGroup
	results := make([]waited, 2*jobs)
	for i := range jobs {
		q.add(domain.JobOptions{})
		for j := range 2 {
			all.Go(func() {
				result, err := q.WaitUntilFinished(t.Context(), domain.JobID(fmt.Sprint(i+1)))
				results[2*i+j] = waited{result, err}
			})
		}
	}
	q.awaitListening()
	for i := range jobs {
		if i%50 == 25 {
			p.Cut()
		}
		q.finishNext(c, sent)
	}
	p.Set(proxy.Every(5, proxy.Verdict{Kind: proxy.DropReply}, nil))
	all.Wait()
	p.Set(nil)
	for _, w := range results {
		w.wantSent(t)
	}
}
