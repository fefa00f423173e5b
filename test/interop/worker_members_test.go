package interop_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// idle opens a worker of Node that does not run yet.
func (l *lab) idle(steps node.Steps, opts node.Opts) *node.Worker {
	l.t.Helper()
	all := node.Opts{"autorun": false, "drainDelay": 0.05}
	maps.Copy(all, opts)
	return l.Worker("mail", steps, all)
}

// wantIdle checks that the job waits for a while.
func (l *lab) wantIdle(queue *node.Queue, id string) {
	l.t.Helper()
	redistest.Pass(150 * time.Millisecond)
	if got := queue.State(id); got != "waiting" {
		l.t.Errorf("state of job %s = %s, want waiting still", id, got)
	}
}

func TestAWorkerOfNodeRunsPausesAndClosesOverTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		worker := l.idle(node.Steps{}, nil)
		worker.Call("waitUntilReady")
		worker.Await(t, 1, "ready")
		first := l.put("send", `1`)
		l.wantIdle(queue, first)
		if running := string(worker.Call("isRunning")); running != "false" {
			t.Errorf("isRunning = %s before run, want false", running)
		}
		worker.Begin("run")
		l.awaitIn("completed", first)
		if running := string(worker.Call("isRunning")); running != "true" {
			t.Errorf("isRunning = %s after run, want true", running)
		}

		worker.Call("pause")
		second := l.put("send", `2`)
		l.wantIdle(queue, second)
		if paused := string(worker.Call("isPaused")); paused != "true" {
			t.Errorf("isPaused = %s, want true", paused)
		}
		worker.Call("resume")
		l.awaitIn("completed", second)

		worker.Call("close")
		third := l.put("send", `3`)
		l.wantIdle(queue, third)
		worker.Await(t, 1, "drained")
		for _, event := range []string{"paused", "resumed", "closing", "closed"} {
			worker.Await(t, 1, event)
		}
	})
}

// The other way round: Takt's worker starts, and stops, beside Node.
func TestAWorkerOfTaktRunsFromItsStartToItsStop(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		queue := l.Queue("mail")
		first := queue.Add("send", 1).ID
		l.wantIdle(queue, first)
		worker := l.work(work{handlers: handlers{"send": echo}})
		l.awaitIn("completed", first)
		stop(worker)
		second := queue.Add("send", 2).ID
		l.wantIdle(queue, second)
	})
}

func TestAWorkerOfNodeTellsOfTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{
			"send": {node.Progress(40), node.Echo()}, "bad": {node.Fail("busy")},
		}, node.Opts{"lockDuration": 30_000, "lockRenewTime": 50, "stalledInterval": shortScan.Milliseconds()})
		good, bad := l.put("send", `7`), l.put("bad", `8`)
		for event, want := range map[string]string{"active": good, "progress": good, "completed": good, "failed": bad} {
			seen := worker.Await(t, 1, event)[0]
			if job := node.Decode[node.Job](t, seen.Args[0]); job.ID != want {
				t.Errorf("%s is said of job %s, want %s", event, job.ID, want)
			}
		}
		if got := worker.All("completed")[0]; string(got.Args[1]) != "7" || string(got.Args[2]) != `"active"` {
			t.Errorf("completed is said with %s, want the result and that it was active", got.Args)
		}
		worker.Await(t, 1, "drained")
	})
}

func TestAWorkerOfNodeTellsOfLocksOfTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		gate := l.Gate()
		worker := l.Worker("mail", node.Steps{"send": {node.AwaitGate(gate)}}, node.Opts{"lockDuration": 5000, "lockRenewTime": 50})
		id := l.put("send", `{}`)
		if got := string(worker.Await(t, 1, "locksRenewed")[0].Args[0]); !strings.Contains(got, `"`+id+`"`) {
			t.Errorf("locksRenewed is said of %s, want job %s", got, id)
		}
		must(t, l.redis.Set(t.Context(), key(id+":lock"), "another", time.Minute))
		if got := string(worker.Await(t, 1, "lockRenewalFailed")[0].Args[0]); !strings.Contains(got, `"`+id+`"`) {
			t.Errorf("lockRenewalFailed is said of %s, want job %s", got, id)
		}
		l.Open(gate)
		worker.Await(t, 1, "error")
	})
}

func TestAWorkerOfNodeTellsOfTaktsStalledJob(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`)
		l.desk().crash(l)
		worker := l.Worker("mail", node.Steps{}, node.Opts{"stalledInterval": shortScan.Milliseconds()})
		stalled := worker.Await(t, 1, "stalled")[0]
		if string(stalled.Args[0]) != `"`+id+`"` || string(stalled.Args[1]) != `"active"` {
			t.Errorf("stalled is said with %s, want job %s, active before", stalled.Args, id)
		}
		l.awaitIn("completed", id)
	})
}

// A job of Takt's that Node cancels ends as one that failed.
func TestNodeCancelsTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{"send": {node.AwaitCancel()}}, node.Opts{"concurrency": 3})
		one, two := l.put("send", `1`), l.put("send", `2`)
		worker.Await(t, 2, "active")
		if known := string(worker.Call("cancelJob", one, "enough")); known != "true" {
			t.Errorf("cancelJob = %s, want true", known)
		}
		l.awaitIn("failed", one)
		l.wantHash(one, map[string]string{"failedReason": "cancelled: enough"})
		worker.Call("cancelAllJobs", "all of it")
		l.awaitIn("failed", two)
		l.wantHash(two, map[string]string{"failedReason": "cancelled: all of it"})
	})
}

func TestAWorkerOfNodeTakesTaktsJobsByHand(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		worker := l.Manual("mail", node.Opts{"concurrency": 2})
		if job, _ := worker.Next("t"); job != nil {
			t.Error("getNextJob of an empty queue gives a job")
		}
		id := l.put("send", `{}`)
		if _, job := worker.Next("t"); job == nil || job.ID != id {
			t.Errorf("getNextJob = %+v, want job %s", job, id)
		}
		worker.Call("delay", 1)
		if got := node.Decode[float64](t, worker.Get("minimumBlockTimeout")); got <= 0 || got > 1 {
			t.Errorf("minimumBlockTimeout = %v s, want a moment", got)
		}
		if l.v6() {
			if got := node.Decode[float64](t, worker.Get("maximumBlockTimeout")); got < 1 {
				t.Errorf("maximumBlockTimeout = %v s, want more", got)
			}
		}
		if concurrency, of := string(worker.Get("concurrency")), string(worker.Get("opts.concurrency")); concurrency != "2" || of != "2" {
			t.Errorf("concurrency = %s, opts.concurrency = %s, want 2", concurrency, of)
		}
		if id := text(t, worker.Get("id")); len(id) != len("00000000-0000-0000-0000-000000000000") {
			t.Errorf("id = %s, want a UUID", id)
		}
	})
}

// Node's worker holds a queue for all, Takt's included, and Takt's for Node's.
func TestBothWorkersHoldTheQueueForEachOther(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const hold = 400 * time.Millisecond
		limited := node.Opts{"limiter": node.Opts{"max": 100, "duration": 1000}}
		queue, order := l.Queue("mail"), &journal{}
		began := time.Now()
		l.Manual("mail", limited).Call("rateLimit", hold.Milliseconds())
		first := queue.Add("send", 1).ID
		worker := l.work(work{handlers: handlers{"send": order.note}})
		l.awaitIn("completed", first)
		if after := order.times()[0].Sub(began); after < hold-10*time.Millisecond {
			t.Errorf("takt started the job %s after node held the queue, want %s", after, hold)
		}
		stop(worker)

		worker = l.work(work{handlers: handlers{"send": fails(domain.RateLimit(hold))}})
		second := queue.Add("send", 2).ID
		await(t, "takt to hold the queue", func() bool { return l.has("limiter") })
		free := l.heldUntil()
		stop(worker)
		if started := l.Worker("mail", node.Steps{}, limited).Await(t, 1, "active")[0].At; started.Before(free) {
			t.Errorf("node started job %s %s before takt let the queue go", second, free.Sub(started))
		}
	})
}

// heldUntil returns when the queue is let go, at the earliest.
func (l *lab) heldUntil() time.Time {
	l.t.Helper()
	const tick = 2 * time.Millisecond // clocks and Redis round
	asked := time.Now()
	return asked.Add(must(l.t, l.redis.PTTL(l.t.Context(), key("limiter")))).Add(-tick)
}

func TestNodesHandlerHoldsTaktsQueue(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const hold = 400 * time.Millisecond
		queue := l.Queue("mail")
		id := l.put("send", `1`)
		worker := l.Worker("mail", node.Steps{"send": {{"do": "rateLimit", "queue": queue.Name, "ms": hold.Milliseconds()}}})
		await(t, "the job to be back", func() bool { return slices.Contains(l.storyOf(id), "waiting prev=active") })
		free := l.heldUntil()
		worker.Call("close", true)
		order := &journal{}
		l.work(work{handlers: handlers{"send": order.note}})
		l.awaitIn("completed", id)
		if started := order.times()[0]; started.Before(free) {
			t.Errorf("takt started the job %s before node let the queue go", free.Sub(started))
		}
	})
}
