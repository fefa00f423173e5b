package interop_test

import (
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// Jobs that Node makes by the static methods are jobs to Takt, and Takt's are
// jobs to them.
func TestStaticMethodsOfNodesJobsMeetTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		ref := node.Ref(queue.Name)
		l.Static("Job", "create", ref, "send", 1, node.Opts{"jobId": "a"})
		l.Static("Job", "createBulk", ref, []node.Opts{{"name": "send", "data": 2, "opts": node.Opts{"jobId": "b"}}})
		if !l.v6() {
			client := queue.KeepProperty("client")
			made, _ := l.KeepStatic("Job", "fromJSON", ref, node.Opts{
				"name": "send", "data": "3", "opts": `{}`, "timestamp": time.Now().UnixMilli(), "stacktrace": "[]", "returnvalue": "null",
			}, "c")
			made.Call("addJob", node.Ref(client.Name))
		}
		taken := l.put("send", `4`, domain.JobOptions{Attempts: 2})
		l.Static("Job", "addJobLog", ref, taken, "a line", 5)
		l.work(work{handlers: handlers{"send": order.note}})
		l.awaitIn("completed", taken)
		want := []string{"a", "b", "c", taken}
		if l.v6() {
			want = []string{"a", "b", taken}
		}
		if got := order.ids(); !slices.Equal(got, want) {
			t.Errorf("takt ran %v, want %v", got, want)
		}
		got := node.Decode[node.Job](t, l.Static("Job", "fromId", ref, taken))
		if got.Name != "send" || string(got.ReturnValue) != "4" || got.Opts["attempts"] != 2.0 {
			t.Errorf("Job.fromId = %+v, want takt's job", got)
		}
		if lines, n := queue.Logs(taken); n != 1 || lines[0] != "a line" {
			t.Errorf("logs = %q, want the line", lines)
		}
		l.wantOptionsDecoded(taken)
	})
}

// wantOptionsDecoded checks that Node reads what is stored of the options, and
// would store the same.
func (l *lab) wantOptionsDecoded(id string) {
	l.t.Helper()
	stored := l.hash(id)["opts"]
	opts := l.Static("Job", "optsFromJSON", stored)
	if attempts := node.Decode[node.Opts](l.t, opts)["attempts"]; attempts != 2.0 {
		l.t.Errorf("Job.optsFromJSON(%s) = %s, want two attempts", stored, opts)
	}
	if l.v6() {
		return
	}
	if again := l.Static("Job", "optsAsJSON", node.Opts{"attempts": 2, "keepLogs": 3}); indented(string(again)) != indented(`{"attempts":2,"kl":3}`) {
		l.t.Errorf("Job.optsAsJSON = %s, want the short names that takt reads", again)
	}
}

// A job of 6.x says by itself what a flow would store of it.
func TestAJobOfTaktAsAnEntryOfAFlow(t *testing.T) {
	forSome(t, full, []string{node.V6}, func(t *testing.T, l *lab) {
		id := l.put("send", `{"a":1}`, domain.JobOptions{Attempts: 2})
		entry := node.Decode[struct {
			JobID     string    `json:"jobId"`
			QueueName string    `json:"queueName"`
			Prefix    string    `json:"prefix"`
			JobData   node.Opts `json:"jobData"`
		}](t, l.Queue("mail").KeepJob(id).Call("toFlowEntry"))
		if entry.JobID != id || entry.QueueName != "mail" || entry.Prefix != "bull" || entry.JobData["data"] != `{"a":1}` {
			t.Errorf("toFlowEntry() = %+v, want takt's job", entry)
		}
	})
}

// byHand are the ends that a worker of Node gives a job by hand.
func byHand() map[string]func(l *lab, w *node.Worker, job *node.Object) {
	return map[string]func(l *lab, w *node.Worker, job *node.Object){
		"moveToCompleted": func(_ *lab, _ *node.Worker, job *node.Object) {
			job.Call("moveToCompleted", node.Opts{"ok": true}, "token", false)
		},
		"moveToFailed": func(_ *lab, _ *node.Worker, job *node.Object) {
			job.Call("moveToFailed", node.Failure("Error", "busy"), "token", false)
		},
		"moveToDelayed": func(l *lab, _ *node.Worker, job *node.Object) {
			job.Call("moveToDelayed", time.Now().Add(time.Hour).UnixMilli(), "token")
			id := text(l.t, job.Get("id"))
			if delay := l.field(id, "delay"); delay > 3_600_000 || delay < 3_500_000 {
				l.t.Errorf("delay = %d ms, want an hour less what the call took", delay)
			}
			must(l.t, l.redis.HSet(l.t.Context(), key(id), "delay", 3_600_000))
		},
		"moveToWait": func(_ *lab, _ *node.Worker, job *node.Object) { job.Call("moveToWait", "token") },
		"moveToWaitingChildren": func(l *lab, _ *node.Worker, job *node.Object) {
			l.Queue("parts").Add("good", 1, node.Opts{"jobId": "a", "parent": node.Opts{"id": text(l.t, job.Get("id")), "queue": "bull:mail"}})
			job.Call("moveToWaitingChildren", "token")
		},
		"extendLock": func(l *lab, _ *node.Worker, job *node.Object) {
			job.Call("extendLock", "token", 600_000)
			l.wantLongLock(text(l.t, job.Get("id")))
		},
		"extendJobLocks": func(l *lab, w *node.Worker, job *node.Object) {
			w.Call("extendJobLocks", []any{job.Get("id")}, []string{"token"}, 600_000)
			l.wantLongLock(text(l.t, job.Get("id")))
		},
		"processJob": func(_ *lab, w *node.Worker, job *node.Object) {
			w.Call("processJob", node.Ref(job.Name), "token")
		},
	}
}

func (l *lab) wantLongLock(id string) {
	l.t.Helper()
	if ttl := must(l.t, l.redis.PTTL(l.t.Context(), key(id+":lock"))); ttl < 9*time.Minute {
		l.t.Errorf("the lock lasts %s, want ten minutes", ttl)
	}
}

func TestNodeEndsTaktsJobsByHandAsItsOwn(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for name, end := range byHand() {
			t.Run(name, func(t *testing.T) {
				dumps := map[string]keydump.Dump{}
				for _, s := range sides() {
					l := newLab(t, l.Version)
					s.add(l, "good", 0, 0)
					worker := &node.Worker{Object: l.New("Worker", node.Opts{"autorun": false, "name": "w"}, "mail", node.Opts{"$steps": node.Steps{}})}
					object, job := worker.Next("token")
					if object == nil || job.Token != "token" {
						t.Fatalf("Next() = %+v, want the job under its token", job)
					}
					end(l, worker, object)
					dumps[s.name] = l.dump().Without(":marker", ":stalled-check")
				}
				if diff := keydump.Diff(dumps["node"], dumps["takt"]); diff != "" {
					t.Errorf("takt's job is left with other keys than node's (-node +takt):\n%s", diff)
				}
			})
		}
	})
}

// A job that its handler gave up on is not tried again; 6.x has only the error for it.
func TestNodeDiscardsAJobOfTakt(t *testing.T) {
	forSome(t, full, []string{node.V5First, node.V5Last}, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`, domain.JobOptions{Attempts: 5})
		job, _ := l.Manual("mail").Next("token")
		job.Call("discard")
		job.Call("moveToFailed", node.Failure("Error", "busy"), "token", false)
		if state := l.Queue("mail").State(id); state != "failed" {
			t.Errorf("state = %s, want failed at the first of five attempts", state)
		}
	})
}

// Takt goes on with what a worker of Node leaves as it ends a job and fetches.
func TestNodeHandsTheNextJobOnAndTaktGoesOn(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		first, second := l.put("send", `1`), l.put("send", `2`)
		job, _ := l.Manual("mail").Next("token")
		job.Call("moveToFailed", node.Failure("Error", "busy"), "token", true)
		if got := l.list("active"); !slices.Equal(got, []string{second}) {
			t.Errorf("active = %v, want job %s after %s", got, second, first)
		}
		must(t, l.redis.Del(t.Context(), key(second+":lock")))
		l.work(work{handlers: handlers{"send": echo}, timing: shortTiming, config: scanning})
		l.awaitIn("completed", second)
	})
}
