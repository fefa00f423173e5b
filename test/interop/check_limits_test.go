package interop_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

func TestCheck52_WhileTheQueueIsPausedTaktFetchesNothing(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		queue.Add("send", 1)
		queue.Call("pause")
		l.work(work{handlers: handlers{"send": order.note}})
		l.put("send", `2`)
		l.put("send", `3`, domain.JobOptions{Priority: 1})
		due := l.put("send", `4`, domain.JobOptions{Delay: 50 * time.Millisecond})
		await(t, "the due job to leave the delayed ones", func() bool { return len(l.scores("delayed")) == 0 })
		l.wantHash(due, map[string]string{"delay": "0"})
		if l.has("marker") {
			t.Error("a marker is there, want none while the queue is paused")
		}

		counts := queue.Counts("wait", "paused", "prioritized", "active")
		want := map[string]int{"wait": 0, "paused": 3, "prioritized": 1, "active": 0}
		if l.v6() {
			want["wait"], want["paused"] = 3, 0
		}
		for state, n := range want {
			if counts[state] != n {
				t.Errorf("counts while paused = %v, want %v", counts, want)
				break
			}
		}
		if got := order.ids(); len(got) > 0 {
			t.Errorf("takt ran %v while the queue was paused", got)
		}
		queue.Call("resume")
		l.awaitCount("completed", 4)
	})
}

// started is one line that a handler wrote about its job: when it began or
// ended it, in ms.
type started struct {
	By      string `json:"by"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Attempt int    `json:"attempt"`
	At      int64  `json:"at"`
	Event   string `json:"event"`
}

// records is a file that the handlers of several processes append to.
type records struct{ path string }

func newRecords(t *testing.T) *records {
	t.Helper()
	return &records{path: filepath.Join(t.TempDir(), "records")}
}

// write appends one line with a single write.
func (r *records) write(job *domain.Job, event string) error {
	line, err := json.Marshal(started{
		By: "takt", ID: string(job.ID), Name: job.Name, Attempt: job.AttemptsMade + 1, At: time.Now().UnixMilli(), Event: event,
	})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return cmp.Or(err, file.Close())
}

// working is a handler that records its beginning and end, d apart.
func (r *records) working(d time.Duration) func(context.Context, *domain.Job) ([]byte, error) {
	return func(_ context.Context, job *domain.Job) ([]byte, error) {
		if err := r.write(job, "start"); err != nil {
			return nil, err
		}
		redistest.Pass(d)
		return nil, r.write(job, "end")
	}
}

// workingNode is what working is, in Node.
func (r *records) workingNode(d time.Duration) []node.Step {
	return []node.Step{node.Record(r.path, "start"), node.Sleep(int(d.Milliseconds())), node.Record(r.path, "end")}
}

// read returns the lines of the event.
func (r *records) read(t *testing.T, event string) []started {
	t.Helper()
	file, err := os.Open(r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var lines []started
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line started
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("record %q: %v", scanner.Text(), err)
		}
		if line.Event == event {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestCheck53_GlobalConcurrencyHoldsForBothWorkersTogether(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		const jobs, limit = 30, 2
		queue, records := l.Queue("mail"), newRecords(t)
		queue.Call("setGlobalConcurrency", limit)
		l.Worker("mail", node.Steps{"*": records.workingNode(15 * time.Millisecond)}, node.Opts{"concurrency": 5, "drainDelay": 0.05})
		l.work(work{handlers: handlers{"send": records.working(15 * time.Millisecond)}, concurrency: 5})
		for range jobs {
			queue.Add("send", node.Opts{})
		}
		most := int64(0)
		await(t, "all jobs to be done", func() bool {
			most = max(most, must(t, l.redis.LLen(t.Context(), key("active"))))
			return len(l.scores("completed")) == jobs
		})
		if most > limit {
			t.Errorf("up to %d jobs were active, want %d", most, limit)
		}
		lines := records.read(t, "start")
		if most := overlap(lines, records.read(t, "end")); most > limit {
			t.Errorf("up to %d handlers ran at a time, want %d", most, limit)
		}
	})
}

func TestCheck53_AWorkerLeavesTheSlotsThatTheOtherOneHolds(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order, gate := l.Queue("mail"), &journal{}, l.Gate()
		queue.Call("setGlobalConcurrency", 2)
		worker := l.Worker("mail", node.Steps{"hold": {node.AwaitGate(gate)}}, node.Opts{"concurrency": 5})
		queue.AddBulk(node.BulkJob{Name: "hold"}, node.BulkJob{Name: "hold"})
		worker.Await(t, 2, "active")
		l.work(work{concurrency: 5, handlers: handlers{"hold": order.note}})
		queue.AddBulk(node.BulkJob{Name: "hold"}, node.BulkJob{Name: "hold"})
		redistest.Pass(200 * time.Millisecond)
		if got := order.ids(); len(got) > 0 {
			t.Errorf("takt started %v, want none while node holds both slots", got)
		}
		l.Open(gate)
		l.awaitCount("completed", 4)
	})
}

func TestCheck53_NodeLeavesTheSlotsThatTaktHolds(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, release := l.Queue("mail"), make(chan struct{})
		queue.Call("setGlobalConcurrency", 2)
		l.work(work{concurrency: 5, handlers: handlers{"hold": holds(release)}})
		queue.AddBulk(node.BulkJob{Name: "hold"}, node.BulkJob{Name: "hold"}, node.BulkJob{Name: "hold"})
		await(t, "takt to hold both slots", func() bool { return len(l.list("active")) == 2 })
		worker := l.Worker("mail", node.Steps{}, node.Opts{"concurrency": 5, "drainDelay": 0.05})
		redistest.Pass(200 * time.Millisecond)
		if n := len(worker.All("active")); n > 0 {
			t.Errorf("node started %d jobs, want none while takt holds both slots", n)
		}
		close(release)
		l.awaitCount("completed", 3)
	})
}

// overlap returns how many handlers ran at a time. An end and a start of the
// same ms may have been in any order.
func overlap(starts, ends []started) int {
	type step struct {
		at    int64
		delta int
	}
	var steps []step
	for _, s := range starts {
		steps = append(steps, step{s.At, 1})
	}
	for _, e := range ends {
		steps = append(steps, step{e.At, -1})
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.delta, b.delta)) })
	running, most := 0, 0
	for _, s := range steps {
		running += s.delta
		most = max(most, running)
	}
	return most
}

// fetchTimes returns when each job was fetched, in order: processedOn, which
// the fetch itself writes.
func (l *lab) fetchTimes() []int64 {
	l.t.Helper()
	var times []int64
	for id := range l.scores("completed") {
		times = append(times, l.field(id, "processedOn"))
	}
	slices.Sort(times)
	return times
}

// wantWindows checks that at most limit jobs were fetched in any window; a
// window begins with the first fetch after the one before. Node takes the time
// before it sends the call, so windows may look a little short.
func wantWindows(t *testing.T, times []int64, limit int, window time.Duration) {
	t.Helper()
	const slack = 25
	start, n := times[0], 0
	for _, at := range times {
		if at >= start+window.Milliseconds()-slack {
			start, n = at, 0
		}
		if n++; n > limit {
			t.Errorf("%d jobs within %d ms, want at most %d within %s: %v", n, at-start, limit, window, times)
			return
		}
	}
}

func TestCheck54_BothWorkersShareARateLimit(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const jobs, limit = 11, 2
		window := 500 * time.Millisecond
		queue, records := l.Queue("mail"), newRecords(t)
		for range jobs {
			queue.Add("send", node.Opts{})
		}
		l.Worker("mail", node.Steps{"*": {node.Record(records.path, "start")}},
			node.Opts{"limiter": node.Opts{"max": limit, "duration": window.Milliseconds()}})
		l.work(work{handlers: handlers{"send": records.working(0)}, config: func(c *redisqueue.Config) {
			c.Limits = map[domain.QueueName]redisqueue.RateLimit{"mail": {Max: limit, Per: window}}
		}})
		l.awaitCount("completed", jobs)
		wantWindows(t, l.fetchTimes(), limit, window)
	})
}

// What one worker starts counts in the window of the other, whoever began it.
func TestCheck54_TheStartsOfOneWorkerCountForTheOther(t *testing.T) {
	limiter := node.Opts{"limiter": node.Opts{"max": 2, "duration": 60_000}}
	limited := func(c *redisqueue.Config) {
		c.Limits = map[domain.QueueName]redisqueue.RateLimit{"mail": {Max: 2, Per: time.Minute}}
	}
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		queue.AddBulk(node.BulkJob{Name: "send"}, node.BulkJob{Name: "send"}, node.BulkJob{Name: "send"})
		desk := l.desk(limited)
		desk.next()
		desk.next()
		worker := l.Worker("mail", node.Steps{}, limiter)
		redistest.Pass(200 * time.Millisecond)
		if n := len(worker.All("active")); n > 0 {
			t.Errorf("node started %d jobs after takt's two, want none in this window", n)
		}
		worker.Close()

		l = newLab(t, l.Version)
		l.Queue("mail").AddBulk(node.BulkJob{Name: "send"}, node.BulkJob{Name: "send"}, node.BulkJob{Name: "send"})
		l.Worker("mail", node.Steps{}, limiter).Await(t, 2, "completed")
		desk = l.desk(limited)
		desk.nothing(200 * time.Millisecond)
		must(t, l.redis.Del(t.Context(), key("limiter")))
		desk.next()
	})
}

func TestCheck55_ATaktHandlerHoldsItsQueue(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		for _, id := range []string{"a", "b"} {
			queue.Add("send", node.Opts{}, node.Opts{"jobId": id})
		}
		l.work(work{handlers: handlers{"send": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			_, _ = order.note(ctx, job)
			if job.ID == "a" && job.AttemptsStarted == 1 {
				return nil, domain.RateLimit(300 * time.Millisecond)
			}
			return nil, nil
		}}})
		await(t, "the job to be back", func() bool { return slices.Contains(l.storyOf("a"), "waiting prev=active") })
		if got := strings.Join(l.list("wait"), ""); got != "ba" {
			t.Errorf("wait = %s, want ba: the job at the tail, where the next comes from", got)
		}
		if got := must(t, l.redis.Get(t.Context(), key("limiter"))); got != "9007199254740991" {
			t.Errorf("limiter = %s, want that of a limit by hand", got)
		}
		l.wantHash("a", map[string]string{"atm": "-", "ats": "1"})
		l.awaitCount("completed", 2)
		l.wantHash("a", map[string]string{"atm": "1", "ats": "2"})
		times := order.times()
		if apart := times[1].Sub(times[0]); apart < 290*time.Millisecond {
			t.Errorf("the job was started again after %s, want at least 300 ms", apart)
		}
		if got := strings.Join(order.ids(), ""); got != "aab" {
			t.Errorf("order = %s, want aab", got)
		}
	})
}

func TestCheck55_TaktRespectsALimitThatNodeSetByHand(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		queue.Add("send", node.Opts{})
		began := time.Now()
		queue.Call("rateLimit", 300)
		l.work(work{handlers: handlers{"send": order.note}, config: func(c *redisqueue.Config) {
			c.Limits = map[domain.QueueName]redisqueue.RateLimit{"mail": {Max: 100, Per: time.Second}}
		}})
		l.awaitCount("completed", 1)
		if after := order.times()[0].Sub(began); after < 290*time.Millisecond {
			t.Errorf("the job was started after %s, want at least 300 ms", after)
		}
	})
}

func TestCheck56_TaktObeysAGlobalRateLimit(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		queue.Call("setGlobalRateLimit", 1, 400)
		for range 4 {
			queue.Add("send", node.Opts{})
		}
		l.work(work{handlers: handlers{"send": echo}, concurrency: 4})
		l.awaitCount("completed", 4)
		wantWindows(t, l.fetchTimes(), 1, 400*time.Millisecond)
		if ttl := must(t, l.redis.PTTL(t.Context(), key("limiter"))); ttl == -1 || ttl > 400*time.Millisecond {
			t.Errorf("the counter lasts %s, want at most 400 ms", ttl)
		}
	})
}
