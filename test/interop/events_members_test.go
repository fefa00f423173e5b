package interop_test

import (
	"context"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/interop/node"
)

// What Node's classes tell of a queue that Takt fills and works.

// putAs is a cause of events: Takt adds a job, which its worker takes.
func (l *lab) putAs(name string, options domain.JobOptions) func() {
	return func() { l.putAll(job(name, `1`, options)) }
}

// heard is one event of QueueEvents, what causes it, and a field that it has.
type heard struct {
	event string
	cause func()
	field string
	want  string
	// until is the last version that has it; "" if all have it.
	until string
}

func heardOfTakt(l *lab, queue *node.Queue) []heard {
	dedup := domain.Deduplication{Key: "k"}
	return []heard{
		{event: "added", cause: l.putAs("send", domain.JobOptions{ID: "a"}), field: "jobId", want: "a"},
		{event: "waiting", field: "jobId", want: "a"},
		{event: "active", field: "prev", want: "waiting"},
		{event: "progress", field: "data", want: `{"p":1}`},
		{event: "completed", field: "returnvalue", want: "1"},
		{event: "drained"},
		{event: "duplicated", cause: l.putAs("send", domain.JobOptions{ID: "a"}), field: "jobId", want: "a"},
		{event: "delayed", cause: l.putAs("send", domain.JobOptions{ID: "later", Delay: time.Hour, Deduplication: dedup}), field: "jobId", want: "later"},
		{event: "deduplicated", cause: l.putAs("send", domain.JobOptions{ID: "later2", Deduplication: dedup}), field: "deduplicatedJobId", want: "later2"},
		{event: "debounced", field: "debounceId", want: "k", until: node.V5Last},
		{event: "failed", cause: l.putAs("bad", domain.JobOptions{Attempts: 2}), field: "failedReason", want: "busy"},
		{event: "retries-exhausted", field: "attemptsMade", want: "2"},
		{event: "paused", cause: func() { operator{l.Version, true}.apply(l, domain.OpPause) }},
		{event: "resumed", cause: func() { operator{l.Version, true}.apply(l, domain.OpResume) }},
		{event: "removed", cause: func() { queue.Call("remove", "a") }, field: "jobId", want: "a"},
		{event: "cleaned", cause: func() { queue.Call("clean", 0, 10, "delayed") }, field: "count", want: "1"},
		{event: "waiting-children", cause: func() { l.addFlow(nil, child("good", nil)) }, field: "jobId", want: "root"},
	}
}

// progressing writes progress before it echoes.
func progressing(ctx context.Context, job *domain.Job) ([]byte, error) {
	return job.Data, runner.Progress(ctx, map[string]int{"p": 1})
}

func TestQueueEventsOfNodeTellOfTaktsJobs(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		l.work(work{handlers: handlers{"send": progressing, "bad": fails(errBusy)}})
		for _, h := range heardOfTakt(l, queue) {
			if h.until != "" && l.Version > h.until {
				continue
			}
			if h.cause != nil {
				h.cause()
			}
			first := events.Await(t, 1, h.event)[0]
			if h.field == "" {
				continue
			}
			if got := first.Field(t, h.field); got != h.want {
				t.Errorf("%s: %s = %s, want %s", h.event, h.field, got, h.want)
			}
		}
	})
}

// Node's Queue emits what it does itself, here to Takt's jobs.
func TestAQueueOfNodeTellsWhatItDoesToTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		l.put("send", `1`, domain.JobOptions{ID: "a"})
		l.put("send", `1`, domain.JobOptions{ID: "b", Delay: time.Hour})
		for _, c := range []struct {
			event string
			do    func()
			want  string
		}{
			{"progress", func() { queue.OnJob("a", "updateProgress", 40) }, ""},
			{"cleaned", func() { queue.Call("clean", 0, 10, "delayed") }, `["b"]`},
			{"paused", func() { queue.Call("pause") }, ""},
			{"resumed", func() { queue.Call("resume") }, ""},
			{"removed", func() { queue.Call("remove", "a") }, `"a"`},
		} {
			c.do()
			got := queue.Await(t, 1, c.event)[0]
			if c.want != "" && string(got.Args[0]) != c.want {
				t.Errorf("%s is said of %s, want %s", c.event, got.Args[0], c.want)
			}
		}
	})
}

// A reader of Node begins where it is told to, or when it is run.
func TestQueueEventsOfNodeBeginWhereTheyAreTold(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.put("send", `1`, domain.JobOptions{ID: "a"})
		first := must(t, l.redis.XRevRangeN(t.Context(), key("events"), "+", "-", 1))[0].ID
		l.put("send", `1`, domain.JobOptions{ID: "b"})
		later := l.New("QueueEvents", node.Opts{"lastEventId": first, "blockingTimeout": 200}, "mail")
		if got := later.Await(t, 1, "added")[0].Field(t, "jobId"); got != "b" {
			t.Errorf("the first event after %s is of job %s, want b", first, got)
		}
		idle := l.New("QueueEvents", node.Opts{"autorun": false, "blockingTimeout": 200, "lastEventId": "0-0"}, "mail")
		if told := idle.All("added"); len(told) > 0 {
			t.Errorf("a reader that does not run tells %d events", len(told))
		}
		idle.Begin("run")
		idle.Await(t, 2, "added")
	})
}
