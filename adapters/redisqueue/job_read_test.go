package redisqueue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// handle returns the queue "q".
func (r *rawQueue) handle() *redisqueue.Queue {
	r.Helper()
	queue, err := r.backend.Queue("q")
	if err != nil {
		r.Fatal(err)
	}
	return queue
}

func bullIDs(views []redisqueue.JobView) string {
	ids := make([]domain.JobID, len(views))
	for i := range views {
		ids[i] = views[i].Job.ID
	}
	return fmt.Sprint(ids)
}

func TestQueueJobs_pagesFromBothEnds(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("RPUSH bull:q:paused c b a", "RPUSH bull:q:wait e d", "RPUSH bull:q:active z y", "ZADD bull:q:completed 1 k 2 l 3 m",
		"ZADD bull:q:delayed 4096 p 8192 o 12288 n", "HSET takt:{bull}:default:parked:q o name n name")
	for id := range strings.FieldsSeq("a b c d e k l m n o p y z") {
		r.do("HSET bull:q:" + id + " name n timestamp 1")
	}
	for _, c := range []struct {
		query redisqueue.JobQuery
		want  string
	}{
		{redisqueue.JobQuery{States: []domain.State{domain.StateWait}}, "[a b c d e]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Backward: true}, "[e d c b a]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Backward: true, Offset: 1, Limit: 3}, "[d c b]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Backward: true, Offset: 3}, "[b a]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateActive}}, "[y z]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateActive}, Backward: true, Limit: 1}, "[z]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateCompleted}, Limit: 2}, "[k l]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateCompleted}, Offset: 1, Backward: true}, "[l k]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateDelayed}}, "[p o n]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateParked}, Offset: 1}, "[n]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateParked}, Backward: true, Limit: 1}, "[n]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateActive, domain.StateCompleted}, Limit: 1}, "[y k]"},
		{redisqueue.JobQuery{States: []domain.State{domain.StateFailed}}, "[]"},
	} {
		views, err := r.handle().Jobs(t.Context(), c.query)
		if got := bullIDs(views); err != nil || got != c.want {
			t.Errorf("Jobs(%+v) = %s, %v, want %s", c.query, got, err, c.want)
		}
	}
}

func TestQueueJobs_refusesWhatMakesNoSense(t *testing.T) {
	r := newRawQueue(t, nil)
	for _, query := range []redisqueue.JobQuery{
		{},
		{States: []domain.State{"nowhere"}},
		{States: []domain.State{domain.StateWait}, Offset: -1},
		{States: []domain.State{domain.StateWait}, Limit: -1},
	} {
		if _, err := r.handle().Jobs(t.Context(), query); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("Jobs(%+v) = %v, want %v", query, err, domain.ErrInvalid)
		}
	}
	if _, err := r.handle().Metrics(t.Context(), domain.StateWait, 0, 0); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("Metrics(wait) = %v, want %v", err, domain.ErrInvalid)
	}
	if _, err := r.handle().CountsByPriority(t.Context(), -1); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("CountsByPriority(-1) = %v, want %v", err, domain.ErrInvalid)
	}
}

func TestQueueJob_showsWhatOnlyBullMQHas(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do(`HSET bull:q:1 name n data {"a":1} opts {"attempts":2,"kl":5} timestamp 1000 delay 1500 priority 7 pb w1 ats 2 atm 1 stc 1`+
		` parentKey bull:p:9 parent {"id":"9","queueKey":"bull:p","fpof":true} deid d rjk s defa later stacktrace ["one","two"]`+
		` failedReason two processedOn 2000 progress 50`, "ZADD bull:q:prioritized 30064771073 1", "RPUSH bull:q:1:logs line")
	view, err := r.handle().Job(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if view.State != domain.StatePrioritized || view.Job.AttemptsStarted != 2 || view.Job.Crashes != 1 || view.Job.Options.Attempts != 2 ||
		!view.StartedAt.Equal(time.UnixMilli(2000)) || !view.DueAt.IsZero() || string(view.Progress) != "50" {
		t.Errorf("Job(1) = %+v, want what every job has", view.JobView)
	}
	got := fmt.Sprintf("%s %s %s %s %s %s %s %s %s", view.Options, view.Delay, view.Worker, strings.Join(view.Stacks, ","), view.ParentKey,
		view.Parent, view.Deduplication, view.Scheduler, view.DeferredReason)
	const want = `{"attempts":2,"kl":5} 1.5s w1 one,two bull:p:9 {"id":"9","queueKey":"bull:p","fpof":true} d s later`
	if got != want {
		t.Errorf("Job(1) has %s, want %s", got, want)
	}
	if len(view.Log) != 0 {
		t.Errorf("Job(1) has the log %v, want none: it is read by itself", view.Log)
	}
	for _, id := range []domain.JobID{"2", "meta", "prioritized", ""} {
		if _, err := r.handle().Job(t.Context(), id); !errors.Is(err, ports.ErrNotFound) {
			t.Errorf("Job(%q) = %v, want %v", id, err, ports.ErrNotFound)
		}
	}
}

func TestQueueEnded_tellsHowAJobEnded(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) { c.MaxPayload = 10 })
	large := strings.Repeat("7", 100)
	r.do("HSET bull:q:large name n timestamp 1 returnvalue "+large, "ZADD bull:q:completed 2 large", "HSET bull:q:none name n timestamp 1", "ZADD bull:q:completed 3 none")
	r.do("HSET bull:q:ok name n timestamp 1 returnvalue 7", "ZADD bull:q:completed 1 ok", "HSET bull:q:bad name n timestamp 1 failedReason why",
		"ZADD bull:q:failed 1 bad", "HSET bull:q:new name n timestamp 1 failedReason before", "RPUSH bull:q:wait new")
	for id, want := range map[domain.JobID]redisqueue.Ended{
		"ok": {Finished: true, Result: []byte("7")}, "large": {Finished: true, Result: []byte(large)}, "none": {Finished: true}, "bad": {Finished: true, Failed: true, Reason: "why"}, "new": {},
	} {
		got, err := r.handle().Ended(t.Context(), id)
		if err != nil || got.Finished != want.Finished || got.Failed != want.Failed || string(got.Result) != string(want.Result) || got.Reason != want.Reason {
			t.Errorf("Ended(%s) = %+v, %v, want %+v", id, got, err, want)
		}
	}
	if _, err := r.handle().Ended(t.Context(), "gone"); !errors.Is(err, ports.ErrNotFound) {
		t.Errorf("Ended(gone) = %v, want %v", err, ports.ErrNotFound)
	}
}

func TestQueueLog_pagesThroughLongLogs(t *testing.T) {
	r := newRawQueue(t, nil)
	lines := make([]any, 2500)
	for i := range lines {
		lines[i] = fmt.Sprint("line ", i)
	}
	if err := r.rdb.RPush(t.Context(), "bull:q:1:logs", lines...).Err(); err != nil {
		t.Fatal(err)
	}
	log, err := r.handle().Log(t.Context(), "1", redisqueue.LogPage{Offset: 1, Limit: 3000})
	if err != nil || len(log.Lines) != 2499 || log.Lines[2498] != "line 2499" || log.Count != 2500 {
		t.Errorf("Log = %d lines of %d, %v, want 2499 of 2500", len(log.Lines), log.Count, err)
	}
	if log, _ := r.handle().Log(t.Context(), "1", redisqueue.LogPage{Newest: true}); len(log.Lines) != 1000 || log.Lines[0] != "line 2499" {
		t.Errorf("Log = %d lines, want the newest 1000", len(log.Lines))
	}
	if log, err := r.handle().Log(t.Context(), "none", redisqueue.LogPage{}); err != nil || log.Count != 0 {
		t.Errorf("Log of no job = %+v, %v, want none", log, err)
	}
}

func TestGettersFailLoudlyOnKeysOfTheWrongType(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("RPUSH bull:q:meta x", "RPUSH bull:q:completed x", "SET bull:q:1:logs x", "SET bull:q:metrics:completed x")
	queue := r.handle()
	_, err := queue.Meta(t.Context())
	wantLoud(t, "Meta", err)
	_, err = queue.Counts(t.Context())
	wantLoud(t, "Counts", err)
	_, err = queue.Jobs(t.Context(), redisqueue.JobQuery{States: []domain.State{domain.StateCompleted}})
	wantLoud(t, "Jobs", err)
	_, err = queue.Log(t.Context(), "1", redisqueue.LogPage{})
	wantLoud(t, "Log", err)
	_, err = queue.Metrics(t.Context(), domain.StateCompleted, 0, 0)
	wantLoud(t, "Metrics", err)
}

// A thousand jobs are read in few calls: what they cost is the way there and
// back.
func TestQueueJobs_readsManyJobsInFewCalls(t *testing.T) {
	r := newRawQueue(t, nil)
	jobs := slices.Repeat([]domain.NewJob{{Queue: "q", Name: "n", Data: []byte(`{"a":1}`)}}, 1000)
	if _, err := r.backend.Enqueue(t.Context(), jobs...); err != nil {
		t.Fatal(err)
	}
	r.do("CONFIG RESETSTAT")
	views, err := r.handle().Jobs(t.Context(), redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Limit: 1000})
	if err != nil || len(views) != 1000 {
		t.Fatalf("Jobs = %d jobs, %v, want 1000", len(views), err)
	}
	if calls := r.calls("evalsha"); calls > 20 {
		t.Errorf("%d calls, want at most 20", calls)
	}
}

func BenchmarkQueueJobs(b *testing.B) {
	r := newRawQueue(b, nil)
	jobs := slices.Repeat([]domain.NewJob{{Queue: "q", Name: "n", Data: []byte(`{"a":1}`)}}, 1000)
	if _, err := r.backend.Enqueue(b.Context(), jobs...); err != nil {
		b.Fatal(err)
	}
	queue := r.handle()
	for b.Loop() {
		if views, err := queue.Jobs(b.Context(), redisqueue.JobQuery{States: []domain.State{domain.StateWait}, Limit: 1000}); err != nil || len(views) != 1000 {
			b.Fatal(len(views), err)
		}
	}
}
