package interop_test

import (
	"errors"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// queue returns Takt's handle of a queue.
func (l *lab) queue(name domain.QueueName) *redisqueue.Queue {
	l.t.Helper()
	q, err := l.producer().Queue(name)
	if err != nil {
		l.t.Fatal(err)
	}
	return q
}

// addJobs adds jobs with extras to the queue mail.
func (l *lab) addJobs(jobs ...redisqueue.NewJob) []redisqueue.Added {
	l.t.Helper()
	added, err := l.queue("mail").Add(l.t.Context(), jobs...)
	if err != nil {
		l.t.Fatal(err)
	}
	return added
}

// What Takt's producer says of a job that only BullMQ knows reads in Node as it
// does of Node's own jobs, and lies in Redis alike.
func TestCheck14_NodeReadsTaktsExtras(t *testing.T) {
	created := time.UnixMilli(time.Now().UnixMilli() - 5000)
	extras := redisqueue.Extras{
		Timestamp: created, KeepLogs: 2, StackTraceLimit: 1, SizeLimit: 100, OnFailure: redisqueue.IgnoreFailure,
		Telemetry: redisqueue.Telemetry{Metadata: `{"traceparent":"00-1-2-01"}`, OmitContext: true},
	}
	opts := node.Opts{
		"timestamp": created.UnixMilli(), "keepLogs": 2, "stackTraceLimit": 1, "sizeLimit": 100, "ignoreDependencyOnFailure": true,
		"telemetry": node.Opts{"metadata": `{"traceparent":"00-1-2-01"}`, "omitContext": true}, "attempts": 2,
	}
	forVersions(t, fast, func(t *testing.T, l *lab) {
		other := newLab(t, l.Version)
		other.Queue("mail").Add("send", "x", opts)
		added := l.addJobs(redisqueue.NewJob{Name: "send", Data: []byte(`"x"`), Options: domain.JobOptions{Attempts: 2}, Extras: extras})
		want, got := other.Queue("mail").MustJob("1"), l.Queue("mail").MustJob(string(added[0].ID))
		for name := range opts {
			if want, got := node.Encode(t, want.Opts[name]), node.Encode(t, got.Opts[name]); want != got {
				t.Errorf("opts.%s = %s, want %s", name, got, want)
			}
		}
		if got.Timestamp != created.UnixMilli() {
			t.Errorf("timestamp = %d, want %d", got.Timestamp, created.UnixMilli())
		}
		if diff := keydump.Diff(other.dump(), l.dump()); diff != "" {
			t.Errorf("takt's job differs from node's (-node +takt):\n%s", diff)
		}
	})
}

// Extras act when Node works the job.
func TestCheck21_NodeActsOnTaktsExtras(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		id := string(l.addJobs(redisqueue.NewJob{
			Name: "send", Options: domain.JobOptions{Attempts: 3}, Extras: redisqueue.Extras{KeepLogs: 2, StackTraceLimit: 1},
		})[0].ID)
		none := string(l.addJobs(redisqueue.NewJob{Name: "send", Options: domain.JobOptions{Attempts: 2}, Extras: redisqueue.Extras{StackTraceLimit: -1}})[0].ID)
		l.Worker("mail", node.Steps{"*": {{"do": "log", "line": "a line"}, node.Fail("busy")}})
		l.awaitIn("failed", id)
		l.awaitIn("failed", none)
		queue := l.Queue("mail")
		if _, lines := queue.Logs(id); lines != 2 {
			t.Errorf("the job keeps %d lines of its log, want 2 of 3", lines)
		}
		if got := queue.MustJob(id).Stacktrace; len(got) != 1 {
			t.Errorf("%d stack traces, want 1 of 3", len(got))
		}
		if got := queue.MustJob(none).Stacktrace; len(got) != 0 {
			t.Errorf("%d stack traces, want none", len(got))
		}
	})
}

// Takt's worker passes on what telemetry of Node left, and leaves it alone.
func TestTelemetryOfNodeIsKept(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		metadata := `{"traceparent":"00-<é>\u2028"}`
		job := l.Queue("mail").Add("send", 1, node.Opts{"attempts": 2, "telemetry": node.Opts{"metadata": metadata}})
		before := l.hash(job.ID)["opts"]
		l.work(work{handlers: handlers{"send": fails(errBusy)}})
		l.awaitIn("failed", job.ID)
		if after := l.hash(job.ID)["opts"]; after != before {
			t.Errorf("opts = %s, want them as they were, %s", after, before)
		}
	})
}

func TestCheck63_AChildOfAnUnknownParentIsNotStored(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		mail := l.Queue("mail")
		before := l.dump()
		_, err := l.queue("mail").Add(t.Context(), redisqueue.NewJob{Name: "send", Parent: redisqueue.JobRef{Queue: "mail", ID: "gone"}})
		if !errors.Is(err, redisqueue.ErrNoParent) {
			t.Errorf("Add = %v, want %v", err, redisqueue.ErrNoParent)
		}
		l.wantDump("after the refusal", before)
		_, err = mail.Try("add", "send", 1, node.Opts{"parent": node.Opts{"id": "gone", "queue": "bull:mail"}})
		if err == nil {
			t.Error("node adds a child of an unknown parent")
		}
		l.wantDump("after node's refusal", before)
	})
}

// A child that Takt adds to a waiting parent of Node's, and Node to one of
// Takt's, lie in Redis alike.
func TestCheck59_AChildOfTaktIsAsOneOfNode(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		byTakt := func(l *lab) {
			l.addJobs(redisqueue.NewJob{
				Name: "send", Data: []byte(`{"a":1}`), Options: domain.JobOptions{ID: "late", Attempts: 2},
				Parent: redisqueue.JobRef{Queue: "mail", ID: "root"}, Extras: redisqueue.Extras{OnFailure: redisqueue.FailParent},
			})
		}
		byNode := func(l *lab) {
			l.Queue("mail").Add("send", node.Opts{"a": 1}, node.Opts{
				"jobId": "late", "attempts": 2, "failParentOnFailure": true, "parent": node.Opts{"id": "root", "queue": "bull:mail"},
			})
		}
		other := newLab(t, l.Version)
		for lab, add := range map[*lab]func(*lab){l: byTakt, other: byNode} {
			lab.addFlow(nil, child("good", node.Opts{"jobId": "early"}))
			add(lab)
		}
		if diff := keydump.Diff(other.dump(), l.dump()); diff != "" {
			t.Errorf("takt's child differs from node's (-node +takt):\n%s", diff)
		}
	})
}

// A job that is there becomes the child of the parent that it is added to
// again, unless it is another's: as in BullMQ 6.7.
func TestCheck63_AnAddedDuplicateIsLinkedAsByNode(t *testing.T) {
	forSome(t, full, []string{node.V6}, func(t *testing.T, l *lab) {
		byTakt := func(l *lab, id string) error {
			_, err := l.queue("parts").Add(t.Context(), redisqueue.NewJob{
				Name: "good", Options: domain.JobOptions{ID: domain.JobID(id)}, Parent: redisqueue.JobRef{Queue: "mail", ID: "root"},
			})
			return err
		}
		byNode := func(l *lab, id string) error {
			_, err := l.Queue("parts").Try("add", "good", 1, node.Opts{"jobId": id, "parent": node.Opts{"id": "root", "queue": "bull:mail"}})
			return err
		}
		other := newLab(t, l.Version)
		for lab, add := range map[*lab]func(*lab, string) error{l: byTakt, other: byNode} {
			lab.addFlow(nil, child("good", node.Opts{"jobId": "a"}))
			parts := lab.Queue("parts")
			parts.Add("good", 1, node.Opts{"jobId": "alone"})
			lab.Flow().Call("add", node.Opts{"name": "all", "queueName": "mail", "opts": node.Opts{"jobId": "p"}, "children": []node.Opts{child("good", node.Opts{"jobId": "theirs"})}})
			lab.Flow().Call("add", node.Opts{"name": "all", "queueName": "mail", "opts": node.Opts{"jobId": "q"}, "children": []node.Opts{child("good", node.Opts{"jobId": "orphan"})}})
			must(t, lab.redis.Del(t.Context(), key("q")))
			for _, id := range []string{"a", "alone", "theirs", "orphan"} {
				if err := add(lab, id); (err != nil) != (id == "theirs") {
					t.Errorf("adding %s again: %v, want an error for theirs alone", id, err)
				}
			}
		}
		if diff := keydump.Diff(other.all(), l.all()); diff != "" {
			t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
		}
	})
}
