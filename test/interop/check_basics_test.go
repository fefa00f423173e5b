package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

func TestCheck01_NodeAddsAndTaktCompletes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{"a": 1}).ID
		l.work(work{handlers: handlers{"send": returns(`{"ok":1}`)}})
		l.awaitIn("completed", id)

		got := queue.MustJob(id)
		if string(got.ReturnValue) != `{"ok":1}` || got.AttemptsMade != 1 || got.AttemptsStarted != 1 {
			t.Errorf("job = %+v, want the result and one attempt", got)
		}
		if state := queue.State(id); state != "completed" {
			t.Errorf("state = %s, want completed", state)
		}
		if l.has(id+":lock") || l.has("active") {
			t.Error("the lock or the active list is still there")
		}
	})
}

func TestCheck02_TaktAddsAndNodeSeesItAsSent(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{})
		before := time.Now()
		l.put("send", `{"a":[1,"x"]}`, domain.JobOptions{Attempts: 3})

		got := node.Decode[node.Job](t, worker.Await(t, 1, "completed")[0].Args[0])
		if got.Name != "send" || string(got.Data) != `{"a":[1,"x"]}` || got.Opts["attempts"] != 3.0 {
			t.Errorf("job = %+v, want name, data and attempts as sent", got)
		}
		if age := time.UnixMilli(got.Timestamp).Sub(before); age.Abs() > time.Second {
			t.Errorf("timestamp is %s from the clock", age)
		}
	})
}

func TestCheck03_DataOfEveryShapeComesBackUnchanged(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		samples := []struct{ data, want any }{
			{node.Undefined(), map[string]any{}},
			{nil, nil},
			{"str", "str"},
			{[]any{}, []any{}},
			{0, 0.0},
			{"\U0001F600 \u2028 \u2029 <&>", "\U0001F600 \u2028 \u2029 <&>"},
			{node.Opts{"deep": []any{nil, node.Opts{"é": "\x00\x1f\\\""}}}, map[string]any{"deep": []any{nil, map[string]any{"é": "\x00\x1f\\\""}}}},
		}
		var ids []string
		for _, sample := range samples {
			ids = append(ids, queue.Add("echo", sample.data).ID)
		}
		l.work(work{handlers: handlers{"echo": echo}})
		l.awaitCount("completed", len(samples))
		for i, id := range ids {
			if got := node.Decode[any](t, queue.MustJob(id).ReturnValue); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", samples[i].want) {
				t.Errorf("result of %#v = %#v, want %#v", samples[i].data, got, samples[i].want)
			}
		}
	})
}

func TestCheck04_NoResultIsNull(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		events := l.Events("mail")
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		l.work(work{handlers: handlers{"send": func(context.Context, *domain.Job) ([]byte, error) { return nil, nil }}})

		done := events.Await(t, 1, "completed")[0]
		if got := done.Field(t, "returnvalue"); got != "null" {
			t.Errorf("QueueEvents says %s, want null", got)
		}
		l.wantHash(id, map[string]string{"returnvalue": "null"})
	})
}

// startedBy returns the ids of jobs in the order in which a worker of Node
// began them.
func startedBy(t *testing.T, worker *node.Worker, n int) []string {
	t.Helper()
	worker.Await(t, n, "completed")
	var ids []string
	for _, event := range worker.All("active") {
		ids = append(ids, node.Decode[node.Job](t, event.Args[0]).ID)
	}
	return ids
}

func TestCheck05_NodeWorksTaktsJobsInOrder(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		for _, lifo := range []bool{false, true} {
			jobs := make([]domain.NewJob, 100)
			for i := range jobs {
				jobs[i] = job("send", `{}`, domain.JobOptions{LIFO: lifo})
			}
			var want []string
			for _, result := range l.putAll(jobs...) {
				want = append(want, string(result.ID))
			}
			if lifo {
				slices.Reverse(want)
			}
			worker := l.Worker("mail", node.Steps{})
			if got := startedBy(t, worker, 100); !slices.Equal(got, want) {
				t.Errorf("lifo %t: order = %v, want %v", lifo, got, want)
			}
			worker.Close()
		}
	})
}

func TestCheck06_TaktTakesALifoJobFirst(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		for _, id := range []string{"a", "b", "c"} {
			queue.Add("send", node.Opts{}, node.Opts{"jobId": id})
		}
		queue.Add("send", node.Opts{}, node.Opts{"jobId": "l", "lifo": true})
		order := &journal{}
		l.work(work{handlers: handlers{"send": order.note}})
		l.awaitCount("completed", 4)
		if got := strings.Join(order.ids(), ""); got != "labc" {
			t.Errorf("order = %s, want labc", got)
		}
	})
}

// journal notes the jobs that a handler of Takt gets, in order.
type journal struct {
	mu   sync.Mutex
	jobs []domain.Job
	at   []time.Time
}

func (j *journal) note(_ context.Context, job *domain.Job) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.jobs, j.at = append(j.jobs, *job), append(j.at, time.Now())
	return job.Data, nil
}

func (j *journal) seen() []domain.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.jobs)
}

func (j *journal) times() []time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.at)
}

func (j *journal) ids() []string {
	var ids []string
	for _, job := range j.seen() {
		ids = append(ids, string(job.ID))
	}
	return ids
}

// best returns the shortest of the waits: other load on the machine lengthens
// some, but a wake-up that is missing lengthens all.
func best(waits []time.Duration) time.Duration { return slices.Min(waits) }

const pickups = 5

func TestCheck07_AnIdleNodeWorkerStartsTaktsJobAtOnce(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{})
		l.put("send", `{}`)
		worker.Await(t, 1, "completed")
		var waits []time.Duration
		for i := range pickups {
			await(t, "the worker to block", func() bool { return l.blocked() > 0 })
			began := time.Now()
			l.put("send", `{}`)
			waits = append(waits, worker.Await(t, i+2, "active")[i+1].At.Sub(began))
			worker.Await(t, i+2, "completed")
		}
		if got := best(waits); got > 100*time.Millisecond {
			t.Errorf("job starts %s after it was added, want at most 100 ms", got)
		}
	})
}

func TestCheck07_TheMarkerIsWrittenWithTheJob(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		l.put("send", `{}`)
		if got := l.scores("marker"); len(got) != 1 || got["0"] != 0 {
			t.Errorf("marker = %v, want member 0 at score 0", got)
		}
	})
}

// blocked returns how many clients wait for a marker.
func (l *lab) blocked() int {
	l.t.Helper()
	n := 0
	for line := range strings.Lines(must(l.t, l.redis.ClientList(l.t.Context()))) {
		if strings.Contains(line, " cmd=bzpopmin ") && strings.Contains(line, " flags=b") {
			n++
		}
	}
	return n
}

func TestCheck08_AnIdleTaktWorkerStartsNodesJobAtOnce(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		l.work(work{handlers: handlers{"send": order.note}})
		var waits []time.Duration
		for i := range pickups {
			await(t, "the worker to block", func() bool { return l.blocked() > 0 })
			began := time.Now()
			queue.Add("send", node.Opts{})
			l.awaitCount("completed", i+1)
			waits = append(waits, order.times()[i].Sub(began))
		}
		if got := best(waits); got > 100*time.Millisecond {
			t.Errorf("job starts %s after it was added, want at most 100 ms", got)
		}
	})
}

func TestCheck09_TwoProducersAndTwoWorkersRunEachJobOnce(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		const each = 500
		queue, order := l.Queue("mail"), &journal{}
		worker := l.Worker("mail", node.Steps{}, node.Opts{"concurrency": 5})
		l.work(work{handlers: handlers{"send": order.note}, concurrency: 5})
		var bulk []node.BulkJob
		for i := range each {
			bulk = append(bulk, node.BulkJob{Name: "send", Data: i})
		}
		queue.AddBulk(bulk...)
		for i := range each {
			l.put("send", fmt.Sprint(i))
		}
		l.awaitCount("completed", 2*each)

		ran := map[string]int{}
		for _, id := range order.ids() {
			ran[id]++
		}
		byTakt := len(ran)
		for _, event := range worker.Await(t, 2*each-byTakt, "completed") {
			ran[node.Decode[node.Job](t, event.Args[0]).ID]++
		}
		for id, times := range ran {
			if times != 1 {
				t.Errorf("job %s ran %d times, want once", id, times)
			}
		}
		if counts := queue.Counts(); counts["completed"] != 2*each || counts["active"]+counts["waiting"]+counts["failed"] != 0 || len(ran) != 2*each {
			t.Errorf("%d jobs ran, counts = %v, want %d completed and no other", len(ran), counts, 2*each)
		}
		if byTakt == 0 || byTakt == 2*each {
			t.Errorf("takt ran %d of %d jobs, want both workers to have some", byTakt, 2*each)
		}
	})
}

// The token differs from Node's habit of using it again: each acquisition has
// its own, so that a stale owner is told from the present one.
func TestCheck10_AFinishFetchesTheNextJobInTheSameCall(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		a, b := queue.Add("send", "a").ID, queue.Add("send", "b").ID
		desk := l.desk()
		lease := desk.next()
		calls := l.countCalls()
		reply, err := desk.Settle(t.Context(), []domain.Settlement{
			{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}},
		}, 1)
		if err != nil || len(reply.Leases) != 1 || string(reply.Leases[0].Job.ID) != b {
			t.Fatalf("Settle() = %+v, %v, want job %s settled and %s leased", reply, err, a, b)
		}
		if n := calls(string(reply.Leases[0].Token)); n != 1 {
			t.Errorf("%d calls of that script, want the one that settles to fetch", n)
		}
		if token := must(t, l.redis.Get(t.Context(), key(b+":lock"))); token != string(reply.Leases[0].Token) {
			t.Errorf("lock = %s, want the lease's token %s", token, reply.Leases[0].Token)
		}
		events := l.stream("active", "completed")
		var order []string
		for _, e := range events {
			order = append(order, e["event"]+" "+e["jobId"])
		}
		if got, want := strings.Join(order, ", "), fmt.Sprintf("active %s, completed %s, active %s", a, a, b); got != want {
			t.Errorf("events: %s, want %s", got, want)
		}
	})
}

// countCalls has the server note its calls from now on. The function that it
// returns counts those of the script that was given the argument.
func (l *lab) countCalls() func(argument string) int {
	l.t.Helper()
	must(l.t, l.redis.ConfigSet(l.t.Context(), "slowlog-log-slower-than", "0"))
	must(l.t, l.redis.SlowLogReset(l.t.Context()))
	return func(argument string) int {
		l.t.Helper()
		var script string
		called := map[string]int{}
		for _, entry := range must(l.t, l.redis.SlowLogGet(l.t.Context(), -1)) {
			if len(entry.Args) < 2 || !strings.EqualFold(entry.Args[0], "evalsha") {
				continue
			}
			called[entry.Args[1]]++
			if slices.Contains(entry.Args, argument) {
				script = entry.Args[1]
			}
		}
		return called[script]
	}
}

func TestCheck11_TheLastJobIsFollowedByOneDrainedEvent(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		queue.Add("send", 1)
		queue.Add("send", 2)
		l.work(work{handlers: handlers{"send": echo}})
		events.Await(t, 1, "drained")
		l.awaitCount("completed", 2)
		if n := len(l.stream("drained")); n != 1 {
			t.Errorf("%d drained events, want one", n)
		}

		queue.Add("send", 3, node.Opts{"delay": 60_000})
		last := queue.Add("send", 4).ID
		l.awaitIn("completed", last)
		if n := len(l.stream("drained")); n != 1 {
			t.Errorf("%d drained events with a delayed job left, want still one", n)
		}
	})
}

func TestCheck12_NodeWaitsForTheEndOfTaktsJob(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		good, bad := queue.Add("good", 7), queue.Add("bad", 8)
		release := make(chan struct{})
		l.work(work{concurrency: 2, handlers: handlers{
			"good": holds(release),
			"bad": func(context.Context, *domain.Job) ([]byte, error) {
				<-release
				return nil, errors.New("no luck")
			},
		}})
		time.AfterFunc(200*time.Millisecond, func() { close(release) })
		if got := queue.OnJob(good.ID, "waitUntilFinished", node.Ref(events.Name)); string(got) != "7" {
			t.Errorf("waitUntilFinished = %s, want 7", got)
		}
		_, err := queue.TryOnJob(bad.ID, "waitUntilFinished", node.Ref(events.Name))
		if err == nil || err.Error() != "no luck" {
			t.Errorf("waitUntilFinished = %v, want the reason no luck", err)
		}
	})
}

// threeJobs adds three jobs in Node and returns what is left in Redis after
// the worker, which begin starts, has completed them and end has stopped it.
func threeJobs(t *testing.T, l *lab, begin func(*lab) (end func())) keydump.Dump {
	t.Helper()
	queue := l.Queue("mail")
	for i := range 3 {
		queue.Add("send", node.Opts{"i": i})
	}
	end := begin(l)
	await(t, "the drained event", func() bool { return len(l.stream("drained")) > 0 })
	end()
	return l.dump()
}

func threeByNode(l *lab) (end func()) {
	worker := l.Worker("mail", node.Steps{"*": {node.Return(node.Opts{"ok": true})}}, node.Opts{"name": "w"})
	return worker.Close
}

func threeByTakt(l *lab) (end func()) {
	r := l.work(work{handlers: handlers{"send": returns(`{"ok":true}`)}})
	return func() { stop(r) }
}

func TestCheck13_ThreeProcessedJobsLeaveTheSameKeys(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		want := threeJobs(t, newLab(t, l.Version), threeByNode)
		got := threeJobs(t, l, threeByTakt)
		if diff := keydump.Diff(want.Without(":marker", ":stalled-check"), got.Without(":marker", ":stalled-check")); diff != "" {
			t.Errorf("takt's worker leaves other keys than node's (-node +takt):\n%s", diff)
		}
	})
}

func TestCheck13_ItsBaselineNodesDumpsOfAllVersionsAreEqual(t *testing.T) {
	t.Parallel()
	leaveOut(t, true)
	// Whether a marker is left depends on when the worker began to wait.
	want := threeJobs(t, newLab(t, node.V5First), threeByNode).Without(":marker")
	for _, version := range node.Versions() {
		if diff := keydump.Diff(want, threeJobs(t, newLab(t, version), threeByNode).Without(":marker")); diff != "" {
			t.Errorf("%s leaves other keys than %s:\n%s", version, node.V5First, diff)
		}
	}
}

// What Takt's port for producers says; BullMQ's own options are those of Extras.
func TestCheck14_NodeReadsTaktsOptionsUnderTheirLongNames(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`, domain.JobOptions{
			Attempts: 4, Backoff: domain.Backoff{Kind: domain.BackoffExponential, Delay: 250 * time.Millisecond, Jitter: 0.5},
			Priority: 3, KeepCompleted: domain.KeepLast(7), KeepFailed: domain.KeepFor(time.Hour),
			Deduplication: domain.Deduplication{Key: "k", TTL: time.Minute},
		})
		got := l.Queue("mail").MustJob(id)
		want := map[string]string{
			"attempts": "4", "backoff": `{"delay":250,"jitter":0.5,"type":"exponential"}`, "priority": "3",
			"removeOnComplete": `7`, "removeOnFail": `{"age":3600}`, "deduplication": `{"id":"k","ttl":60000}`,
		}
		if got.Opts["removeOnComplete"] != 7.0 {
			want["removeOnComplete"] = `{"count":7}`
		}
		for name, value := range want {
			if text, _ := json.Marshal(got.Opts[name]); string(text) != value {
				t.Errorf("opts.%s = %s, want %s", name, text, value)
			}
		}
		if got.Priority != 3 || got.DeduplicationID != "k" {
			t.Errorf("job = %+v, want priority 3 and deduplication id k", got)
		}
	})
}
