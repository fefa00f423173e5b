package redisqueue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// queue returns the handle of the queue "q".
func (r *rawQueue) queue() *redisqueue.Queue {
	r.Helper()
	q, err := r.backend.Queue("q")
	if err != nil {
		r.Fatalf("Queue(q) = %v, want a queue", err)
	}
	return q
}

// addJobs adds jobs to the queue "q", all of which must be accepted.
func (r *rawQueue) addJobs(jobs ...redisqueue.NewJob) []redisqueue.Added {
	r.Helper()
	added, err := r.queue().Add(r.Context(), jobs...)
	if err != nil {
		r.Fatalf("Add = %v, want no error", err)
	}
	for i := range added {
		if added[i].Status != domain.Accepted {
			r.Fatalf("Add: job %d is %+v, want it accepted", i, added[i])
		}
	}
	return added
}

func (r *rawQueue) wantField(key, field, want string) {
	r.Helper()
	if got := r.rdb.HGet(r.Context(), key, field).Val(); got != want {
		r.Errorf("%s of %s = %s, want %s", field, key, got, want)
	}
}

func TestExtrasAreWrittenAsBullMQKeepsThem(t *testing.T) {
	t.Parallel()
	created := time.UnixMilli(1_700_000_000_123)
	for _, c := range []struct {
		extras redisqueue.Extras
		want   string
	}{
		{redisqueue.Extras{}, `{"attempts":0}`},
		{redisqueue.Extras{Timestamp: created, KeepLogs: 3}, `{"attempts":0,"timestamp":1700000000123,"kl":3}`},
		{redisqueue.Extras{StackTraceLimit: 2, SizeLimit: 9}, `{"attempts":0,"stackTraceLimit":2,"sizeLimit":9}`},
		{redisqueue.Extras{StackTraceLimit: -1}, `{"attempts":0,"stackTraceLimit":0}`},
		{redisqueue.Extras{OnFailure: redisqueue.FailParent}, `{"attempts":0,"fpof":true}`},
		{redisqueue.Extras{OnFailure: redisqueue.ContinueParent}, `{"attempts":0,"cpof":true}`},
		{redisqueue.Extras{OnFailure: redisqueue.IgnoreFailure}, `{"attempts":0,"idof":true}`},
		{redisqueue.Extras{OnFailure: redisqueue.ForgetChild}, `{"attempts":0,"rdof":true}`},
		{
			redisqueue.Extras{Telemetry: redisqueue.Telemetry{Metadata: `{"traceparent":"00-<é>"}`, OmitContext: true}},
			`{"attempts":0,"tm":"{\"traceparent\":\"00-<é>\"}","omc":true}`,
		},
	} {
		r := newRawQueue(t, nil)
		r.addJobs(redisqueue.NewJob{Name: "n", Extras: c.extras})
		r.wantField("bull:q:1", "opts", c.want)
		if !c.extras.Timestamp.IsZero() {
			r.wantField("bull:q:1", "timestamp", "1700000000123")
		}
	}
}

func TestTheDelayCountsFromTheTimestamp(t *testing.T) {
	r := newRawQueue(t, nil)
	created := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	r.addJobs(redisqueue.NewJob{Name: "n", Options: domain.JobOptions{Delay: time.Hour}, Extras: redisqueue.Extras{Timestamp: created}})
	want := float64(created.Add(time.Hour).UnixMilli() * 4096)
	if got := r.rdb.ZScore(t.Context(), "bull:q:delayed", "1").Val(); got != want {
		t.Errorf("score = %.0f, want %.0f", got, want)
	}
}

func TestExtrasThatMakeNoSenseAreRefused(t *testing.T) {
	r := newRawQueue(t, nil)
	for _, c := range []struct {
		job  redisqueue.NewJob
		want error
	}{
		{redisqueue.NewJob{Name: ""}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Data: []byte(`{`)}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Options: domain.JobOptions{ID: "meta"}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{Timestamp: time.UnixMilli(-1)}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{Timestamp: time.UnixMilli(1 << 60)}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{KeepLogs: -1}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{StackTraceLimit: 1 << 40}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{SizeLimit: -1}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Data: []byte(`"four"`), Extras: redisqueue.Extras{SizeLimit: 5}}, domain.ErrTooLarge},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{SizeLimit: 1}}, domain.ErrTooLarge},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{OnFailure: "fpof"}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{Telemetry: redisqueue.Telemetry{Metadata: "\xff"}}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Extras: redisqueue.Extras{Telemetry: redisqueue.Telemetry{Metadata: strings.Repeat("x", 1<<17)}}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "a:b", ID: "1"}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Parent: ref("x"), Options: domain.JobOptions{ID: "x"}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q"}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q", ID: "meta"}}, domain.ErrInvalid},
		{redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q", ID: "1", Prefix: "other"}}, domain.ErrInvalid},
		{
			redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q", ID: "1"}, Options: domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}}},
			domain.ErrInvalid,
		},
	} {
		if added, err := r.queue().Add(t.Context(), redisqueue.NewJob{Name: "good"}, c.job); added != nil || !errors.Is(err, c.want) {
			t.Errorf("Add(%+v) = %v, %v, want %v", c.job, added, err, c.want)
		}
	}
	if keys := r.dump(); len(keys) > 0 {
		t.Errorf("keys = %v, want none", sortedKeys(keys))
	}
}

// What enqueue.lua does with a job without extras, flow_add.lua does as well.
func TestAJobWithoutExtrasIsAddedAsByEnqueue(t *testing.T) {
	t.Parallel()
	for _, options := range []domain.JobOptions{
		{},
		{ID: "x", Attempts: 3, KeepFailed: domain.KeepLast(2)},
		{Delay: time.Hour, Priority: 3},
		{Priority: 7},
		{LIFO: true},
		{Deduplication: domain.Deduplication{Key: "k"}},
	} {
		added, enqueued := newRawQueue(t, nil), newRawQueue(t, nil)
		for range 2 {
			a, err := added.queue().Add(t.Context(), redisqueue.NewJob{Name: "n", Data: []byte(`1`), Options: options})
			if err != nil {
				t.Fatal(err)
			}
			e, err := enqueued.backend.Enqueue(t.Context(), domain.NewJob{Queue: "q", Name: "n", Data: []byte(`1`), Options: options})
			if err != nil {
				t.Fatal(err)
			}
			if a[0].ID != e[0].ID || a[0].Status != e[0].Status {
				t.Errorf("Add(%+v) = %+v, want %+v", options, a[0], e[0])
			}
		}
		want, got := strings.Join(enqueued.events(), ", "), strings.Join(added.events(), ", ")
		if options.Delay == 0 && got != want {
			t.Errorf("Add(%+v): events = %s, want %s", options, got, want)
		}
		if want, got := sortedKeys(enqueued.dump()), sortedKeys(added.dump()); len(got) != len(want) {
			t.Errorf("Add(%+v): keys = %v, want %v", options, got, want)
		}
	}
}

func TestAChildIsAddedToAParentThatIsThere(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	added := r.addJobs(
		redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q", ID: "p"}},
		redisqueue.NewJob{Name: "n", Options: domain.JobOptions{ID: "c"}, Parent: redisqueue.JobRef{Queue: "q", ID: "p"}, Extras: redisqueue.Extras{OnFailure: redisqueue.FailParent}},
	)
	if added[0].ID != "1" || added[1].ID != "c" {
		t.Errorf("ids = %v, want 1 and c", added)
	}
	r.wantField("bull:q:1", "parentKey", "bull:q:p")
	r.wantField("bull:q:1", "parent", `{"id":"p","queueKey":"bull:q"}`)
	r.wantField("bull:q:c", "parent", `{"id":"p","queueKey":"bull:q","fpof":true}`)
	r.wantField("bull:q:c", "opts", `{"attempts":0,"jobId":"c","fpof":true,"parent":{"id":"p","queue":"bull:q"}}`)
	if n := r.rdb.SCard(t.Context(), "bull:q:p:dependencies").Val(); n != 2 {
		t.Errorf("the parent waits for %d jobs, want 2", n)
	}
	r.wantEvents("added 1 n", "waiting 1", "added c n", "waiting c")
}

func TestAChildWithoutItsParentIsNotStored(t *testing.T) {
	r := newRawQueue(t, nil)
	added, err := r.queue().Add(t.Context(), redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q", ID: "gone"}})
	if !errors.Is(err, redisqueue.ErrNoParent) || !errors.Is(err, ports.ErrNotFound) || len(added) != 1 || !errors.Is(added[0].Err, redisqueue.ErrNoParent) {
		t.Errorf("Add = %v, %v, want %v", added, err, redisqueue.ErrNoParent)
	}
	if keys := r.rdb.Keys(t.Context(), "bull:*").Val(); len(keys) > 0 {
		t.Errorf("keys = %v, want none", keys)
	}
}

func TestAJobThatCannotBeAddedDoesNotKeepTheOthers(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.parent("other")
	r.child("theirs", "other")
	r.do("RPUSH bull:q:strange x")
	p := redisqueue.JobRef{Queue: "q", ID: "p"}
	added, err := r.queue().Add(t.Context(),
		redisqueue.NewJob{Name: "a", Parent: p},
		redisqueue.NewJob{Name: "b", Options: domain.JobOptions{ID: "theirs"}, Parent: p},
		redisqueue.NewJob{Name: "c", Options: domain.JobOptions{ID: "strange"}, Parent: p},
		redisqueue.NewJob{Name: "d"},
	)
	if !errors.Is(err, redisqueue.ErrOtherParent) {
		t.Errorf("Add = %v, want the first reason, %v", err, redisqueue.ErrOtherParent)
	}
	if added[0].Status != domain.Accepted || added[3].Status != domain.Accepted {
		t.Errorf("good jobs: %+v, want them accepted", added)
	}
	if !errors.Is(added[1].Err, redisqueue.ErrOtherParent) || !errors.Is(added[2].Err, redisqueue.ErrNoJob) || !strings.Contains(added[2].Err.Error(), "bull:q:strange") {
		t.Errorf("bad jobs: %+v, want their reasons", added)
	}
	if deps := r.rdb.SMembers(t.Context(), "bull:q:p:dependencies").Val(); len(deps) != 1 || deps[0] != "bull:q:1" {
		t.Errorf("dependencies = %v, want the good child alone", deps)
	}
}

// A job that was there without a parent, or whose parent is gone, becomes the
// child; one that is done already counts as done.
func TestADuplicateIsLinkedToItsParent(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.do("HSET bull:q:alone name n timestamp 1", "RPUSH bull:q:wait alone",
		"HSET bull:q:orphan name n timestamp 1 parentKey bull:q:gone parent {}", "RPUSH bull:q:wait orphan",
		"HSET bull:q:done name n timestamp 1 returnvalue 7", "ZADD bull:q:completed 1 done",
		"HSET bull:q:damaged name n timestamp 1 returnvalue {", "ZADD bull:q:completed 1 damaged")
	p := redisqueue.JobRef{Queue: "q", ID: "p"}
	var jobs []redisqueue.NewJob
	for _, id := range []domain.JobID{"alone", "orphan", "done", "damaged"} {
		jobs = append(jobs, redisqueue.NewJob{Name: "other", Options: domain.JobOptions{ID: id}, Parent: p})
	}
	added, err := r.queue().Add(t.Context(), jobs...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range added {
		if added[i].Status != domain.DuplicateID {
			t.Errorf("job %d: %+v, want a duplicate", i, added[i])
		}
		key := "bull:q:" + string(jobs[i].Options.ID)
		r.wantField(key, "parentKey", "bull:q:p")
		r.wantField(key, "name", "n")
	}
	if n := r.rdb.SCard(t.Context(), "bull:q:p:dependencies").Val(); n != 2 {
		t.Errorf("the parent waits for %d jobs, want 2", n)
	}
	r.wantField("bull:q:p:processed", "bull:q:done", "7")
	r.wantField("bull:q:p:processed", "bull:q:damaged", "null")
	r.wantEvents("duplicated alone", "duplicated orphan", "duplicated done", "duplicated damaged")
}

func TestAParentWhoseOnlyChildIsDoneIsReleased(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.do("HSET bull:q:done name n timestamp 1 returnvalue 7", "ZADD bull:q:completed 1 done")
	_, err := r.queue().Add(t.Context(), redisqueue.NewJob{Name: "n", Options: domain.JobOptions{ID: "done"}, Parent: redisqueue.JobRef{Queue: "q", ID: "p"}})
	if err != nil {
		t.Fatal(err)
	}
	r.wantList("bull:q:wait", "p")
	r.wantEvents("duplicated done", "waiting p waiting-children")
}

func TestAKeyOfTheWrongTypeStopsAnAddBeforeItWrites(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"wait", "delayed", "prioritized", "events", "waiting-children", "completed", "p:dependencies", "p:processed"} {
		r := newRawQueue(t, nil)
		r.parent("p")
		r.do("DEL bull:q:"+key, "SET bull:q:"+key+" x")
		before := r.dump()
		_, err := r.queue().Add(t.Context(), redisqueue.NewJob{Name: "n"}, redisqueue.NewJob{Name: "n", Parent: redisqueue.JobRef{Queue: "q", ID: "p"}})
		wantLoud(t, "Add with a wrong "+key, err)
		if after := r.dump(); len(after) != len(before) || after["bull:q:id"] != before["bull:q:id"] {
			t.Errorf("%s: keys = %v, want %v", key, sortedKeys(after), sortedKeys(before))
		}
	}
}
