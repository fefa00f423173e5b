package interop_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

func TestCheck72_NodeListsEachTaktWorkerOnce(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		for _, name := range []string{"one", "two"} {
			l.work(work{name: name, handlers: handlers{"send": echo}, concurrency: 10})
		}
		await(t, "both workers to block", func() bool { return l.blocked() == 2 })
		workers := node.Decode[[]struct {
			Name    string `json:"name"`
			RawName string `json:"rawname"`
		}](t, queue.Call("getWorkers"))
		if n := string(queue.Call("getWorkersCount")); n != "2" {
			t.Errorf("getWorkersCount = %s, want 2", n)
		}
		seen := map[string]int{}
		for _, worker := range workers {
			seen[worker.RawName]++
		}
		base := "bull:" + base64.StdEncoding.EncodeToString([]byte("mail")) + ":w:"
		if len(workers) != 2 || seen[base+"one"] != 1 || seen[base+"two"] != 1 {
			t.Errorf("getWorkers = %+v, want one entry a worker, %sone and %stwo", workers, base, base)
		}
	})
}

// side is who makes the data of a check: Node alone, or Takt.
type side struct {
	name string
	// add adds a job with a priority or delay.
	add func(l *lab, name string, priority int, delay time.Duration)
	// work works n jobs, those named bad fail.
	work func(l *lab, n int)
	// take begins the next job and leaves it active.
	take func(l *lab)
}

func sides() []side {
	return []side{
		{
			name: "node",
			add: func(l *lab, name string, priority int, delay time.Duration) {
				opts := node.Opts{}
				if priority > 0 {
					opts["priority"] = priority
				}
				if delay > 0 {
					opts["delay"] = delay.Milliseconds()
				}
				l.Queue("mail").Add(name, 1, opts)
			},
			work: func(l *lab, n int) {
				worker := l.Worker("mail", node.Steps{"bad": {node.Fail("busy")}}, node.Opts{"name": "w"})
				await(l.t, "the jobs to be finished", func() bool { return len(l.stream("completed", "failed")) == n })
				worker.Close()
			},
			take: func(l *lab) { l.Manual("mail", node.Opts{"name": "w"}).Next("token") },
		},
		{
			name: "takt",
			add: func(l *lab, name string, priority int, delay time.Duration) {
				l.put(name, `1`, domain.JobOptions{Priority: priority, Delay: delay})
			},
			work: func(l *lab, n int) {
				r := l.work(work{handlers: handlers{"good": echo, "bad": fails(errBusy)}})
				await(l.t, "the jobs to be finished", func() bool { return len(l.stream("completed", "failed")) == n })
				stop(r)
			},
			take: func(l *lab) { l.desk().next() },
		},
	}
}

// everyState has two jobs in every state of a job that no worker has.
func everyState(l *lab, s side) {
	l.t.Helper()
	queue := l.Queue("mail")
	for range 2 {
		s.add(l, "good", 0, 0)
		s.add(l, "bad", 0, 0)
	}
	s.work(l, 4)
	for _, id := range []string{"1", "2"} {
		queue.OnJob(id, "log", "a line")
	}
	for range 2 {
		s.add(l, "good", 0, 0)
		s.add(l, "good", 3, 0)
		s.add(l, "good", 0, time.Hour)
	}
}

func TestCheck74_NodesOperationsTreatTaktsJobsAsTheirOwn(t *testing.T) {
	operations := map[string]func(q *node.Queue){
		"nothing":           func(*node.Queue) {},
		"clean completed":   func(q *node.Queue) { q.Call("clean", 0, 0, "completed") },
		"clean failed":      func(q *node.Queue) { q.Call("clean", 0, 1, "failed") },
		"clean wait":        func(q *node.Queue) { q.Call("clean", 0, 0, "wait") },
		"clean delayed":     func(q *node.Queue) { q.Call("clean", 0, 0, "delayed") },
		"clean prioritized": func(q *node.Queue) { q.Call("clean", 0, 0, "prioritized") },
		"drain":             func(q *node.Queue) { q.Call("drain", true) },
		"obliterate":        func(q *node.Queue) { q.Call("obliterate", node.Opts{"force": true}) },
		"remove": func(q *node.Queue) {
			for id := range 10 {
				q.Call("remove", fmt.Sprint(id+1))
			}
		},
		"retry and promote": func(q *node.Queue) {
			q.Call("retryJobs")
			q.Call("promoteJobs")
		},
		"pause": func(q *node.Queue) { q.Call("pause") },
	}
	forVersions(t, full, func(t *testing.T, l *lab) {
		for name, operate := range operations {
			t.Run(name, func(t *testing.T) {
				dumps := map[string]keydump.Dump{}
				for _, s := range sides() {
					l := newLab(t, l.Version)
					everyState(l, s)
					redistest.Pass(2 * time.Millisecond) // clean looks for what is older than now
					operate(l.Queue("mail"))
					dumps[s.name] = l.dump().Without(":marker", ":stalled-check")
				}
				if diff := keydump.Diff(dumps["node"], dumps["takt"]); diff != "" {
					t.Errorf("takt's jobs leave other keys than node's (-node +takt):\n%s", diff)
				}
			})
		}
	})
}

func TestCheck74_NodeObliteratesAQueueThatTaktIsWorking(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, release := l.Queue("mail"), make(chan struct{})
		started := &journal{}
		l.put("send", `1`)
		l.work(work{handlers: handlers{"send": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			_, _ = started.note(ctx, job)
			return holds(release)(ctx, job)
		}}})
		started.awaitRuns(t, 1)
		if _, err := queue.Try("obliterate", node.Opts{"force": false}); err == nil {
			t.Error("obliterate without force = no error, want one for the active job")
		}
		queue.Call("obliterate", node.Opts{"force": true})
		close(release)
		// The result has no job any more; the worker goes on.
		l.put("send", `2`)
		await(t, "the next job", func() bool { return len(started.ids()) == 2 })
		l.awaitCount("completed", 1)
		if l.has("active") {
			t.Error("the active list is still there")
		}
	})
}
