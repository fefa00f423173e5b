package interop_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// retention is one way to say which finished jobs stay.
type retention struct {
	name string
	// option is what the jobs say; nil is nothing.
	option any
	// worker is what the worker says: a count, negative for nothing.
	worker int
	want   []string
	// flawedIn5First tells that 5.70.1 leaves hashes behind that it has lost sight of.
	flawedIn5First bool
}

func retentions() []retention {
	return []retention{
		{name: "true", option: true, worker: -1},
		{name: "0", option: 0, worker: -1},
		{name: "2", option: 2, worker: -1, want: []string{"d", "e"}},
		{name: "count 2", option: node.Opts{"count": 2}, worker: -1, want: []string{"d", "e"}},
		{name: "age 1", option: node.Opts{"age": 1}, worker: -1, want: []string{"d", "e"}},
		{name: "age 3600 and count 2", option: node.Opts{"age": 3600, "count": 2}, worker: -1, want: []string{"d", "e"}},
		{name: "age 3600 and limit 1", option: node.Opts{"age": 3600, "limit": 1}, worker: -1, want: []string{"a", "d", "e"}, flawedIn5First: true},
		{name: "age 3600 and limit 0", option: node.Opts{"age": 3600, "limit": 0}, worker: -1, want: []string{"a", "b", "c", "d", "e"}, flawedIn5First: true},
		{name: "false against the worker's 1", option: false, worker: 1, want: []string{"a", "b", "c", "d", "e"}},
		{name: "the worker's 1", worker: 1, want: []string{"e"}},
		{name: "nothing said", worker: -1, want: []string{"a", "b", "c", "d", "e"}},
	}
}

// fiveJobs has five jobs finished one after the other, the first three of
// them two hours before the others by the scores of their set.
func fiveJobs(t *testing.T, l *lab, r retention, set string) {
	t.Helper()
	queue := l.Queue("mail")
	option := map[string]string{"completed": "removeOnComplete", "failed": "removeOnFail"}[set]
	l.finishFive(set, func(id string) {
		opts := node.Opts{"jobId": id}
		if r.option != nil {
			opts[option] = r.option
		}
		queue.Add(set, node.Opts{}, opts)
	})
}

// backdate has the finished jobs of the set finished two hours before.
func (l *lab) backdate(set string) {
	l.t.Helper()
	for member, score := range l.scores(set) {
		must(l.t, l.redis.ZAdd(l.t.Context(), key(set), redis.Z{Member: member, Score: score - 2*3600*1000}))
	}
}

func retainByNode(t *testing.T, l *lab, r retention, set string) keydump.Dump {
	t.Helper()
	opts := node.Opts{"name": "w"}
	if r.worker >= 0 {
		opts["removeOnComplete"], opts["removeOnFail"] = node.Opts{"count": r.worker}, node.Opts{"count": r.worker}
	}
	worker := l.Worker("mail", node.Steps{"failed": {node.Fail("no luck")}}, opts)
	fiveJobs(t, l, r, set)
	worker.Close()
	return l.dump().Without(":marker", ":stalled-check")
}

func retainByTakt(t *testing.T, l *lab, r retention, set string) keydump.Dump {
	t.Helper()
	runner := l.work(work{
		handlers: handlers{"completed": echo, "failed": fails(fmt.Errorf("no luck"))},
		config: func(c *redisqueue.Config) {
			if r.worker >= 0 {
				c.KeepCompleted, c.KeepFailed = domain.KeepLast(r.worker), domain.KeepLast(r.worker)
			}
		},
	})
	fiveJobs(t, l, r, set)
	stop(runner)
	return l.dump().Without(":marker", ":stalled-check")
}

func TestCheck46_TheSameFinishedJobsStay(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, set := range []string{"completed", "failed"} {
			for _, r := range retentions() {
				t.Run(set+" "+r.name, func(t *testing.T) {
					l := newLab(t, l.Version)
					got := retainByTakt(t, l, r, set)
					ids := l.Queue("mail").IDs(set)
					slices.Sort(ids)
					if !slices.Equal(ids, r.want) && len(ids)+len(r.want) > 0 {
						t.Errorf("takt keeps %v, want %v", ids, r.want)
					}
					if r.flawedIn5First && l.Version == node.V5First {
						return
					}
					if diff := keydump.Diff(retainByNode(t, newLab(t, l.Version), r, set), got); diff != "" {
						t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
					}
				})
			}
		}
	})
}

func TestCheck47_ARemovedJobLeavesNothingButItsEvent(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		release := make(chan struct{})
		id := queue.Add("send", node.Opts{"a": 1}, node.Opts{"removeOnComplete": true}).ID
		l.work(work{handlers: handlers{"send": holds(release)}})
		time.AfterFunc(100*time.Millisecond, func() { close(release) })
		if got := queue.OnJob(id, "waitUntilFinished", node.Ref(events.Name)); string(got) != `{"a":1}` {
			t.Errorf("waitUntilFinished = %s, want the result", got)
		}
		if keys := must(t, l.redis.Keys(t.Context(), key(id+"*"))); len(keys) > 0 {
			t.Errorf("keys %v are left, want none", keys)
		}
		if job := queue.Job(id); job != nil {
			t.Errorf("node still finds the job: %+v", job)
		}
	})
}

func TestCheck48_NodeSeesTheProgressThatTaktWrites(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		id := queue.Add("send", node.Opts{}).ID
		desk := l.desk()
		lease := desk.next()
		for i, progress := range []string{`{"p":1}`, `50`, `"x"`, `true`} {
			desk.annotate(domain.Note{Lease: lease.Ref(), Progress: []byte(progress)})
			if got := queue.MustJob(id).Progress; string(got) != progress {
				t.Errorf("job.progress = %s, want %s", got, progress)
			}
			event := events.Await(t, i+1, "progress")[i]
			if got := node.Decode[map[string]node.Value](t, event.Args[0])["data"]; string(got) != progress {
				t.Errorf("QueueEvents says %s, want %s", got, progress)
			}
		}
	})
}

func TestCheck49_LogLinesAreKeptAsTheJobSays(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}, node.Opts{"keepLogs": 2}).ID
		desk := l.desk()
		lease := desk.next()
		desk.annotate(domain.Note{Lease: lease.Ref(), Log: []string{"one"}})
		desk.annotate(domain.Note{Lease: lease.Ref(), Log: []string{"two", "three"}})
		if lines, count := queue.Logs(id); !slices.Equal(lines, []string{"two", "three"}) || count != 2 {
			t.Errorf("getJobLogs = %q, %d, want the latest two", lines, count)
		}
		queue.OnJob(id, "log", "four")
		if lines, _ := queue.Logs(id); !slices.Equal(lines, []string{"three", "four"}) {
			t.Errorf("getJobLogs = %q, want node's line at the end", lines)
		}
	})
}

func TestCheck50_EachSeesTheDataThatTheOtherWrites(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", "first", node.Opts{"attempts": 3}).ID
		desk := l.desk()
		lease := desk.next()
		queue.OnJob(id, "updateData", node.Opts{"by": "node"})
		desk.settle(lease, domain.Outcome{Kind: domain.Retry, Reason: "again"})
		lease = desk.next()
		if got := string(lease.Job.Data); got != `{"by":"node"}` {
			t.Errorf("takt sees data %s, want node's", got)
		}
		desk.annotate(domain.Note{Lease: lease.Ref(), Data: []byte(`{"by":"takt"}`)})
		desk.settle(lease, domain.Outcome{Kind: domain.Retry, Reason: "again"})
		done := l.Worker("mail", node.Steps{}).Await(t, 1, "completed")[0]
		if got := string(node.Decode[node.Job](t, done.Args[0]).ReturnValue); got != `{"by":"takt"}` {
			t.Errorf("node sees data %s, want takt's", got)
		}
	})
}
