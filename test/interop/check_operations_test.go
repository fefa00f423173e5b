package interop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// twin is an operation of Node's and what is the same in Takt. In the state of
// everyState jobs 1 and 3 are completed, 2 and 4 have failed, 5 and 8 wait, 6
// and 9 are prioritized, 7 and 10 delayed.
type twin struct {
	node func(q *node.Queue)
	takt func(ctx context.Context, q *redisqueue.Queue) error
	// since is the first version whose result is the same.
	since string
}

// counted leaves out how many jobs there were.
func counted(_ int, err error) error { return err }

func twins() map[string]twin {
	type queue = *redisqueue.Queue
	return map[string]twin{
		"nothing": {func(*node.Queue) {}, func(context.Context, queue) error { return nil }, ""},
		"promote": {
			func(q *node.Queue) { q.OnJob("7", "promote") },
			func(ctx context.Context, q queue) error { return q.Promote(ctx, "7") }, "",
		},
		"retry": {
			func(q *node.Queue) { q.OnJob("2", "retry") },
			func(ctx context.Context, q queue) error { return q.Retry(ctx, "2", redisqueue.RetryOptions{}) }, "",
		},
		"retry a completed job anew": {
			func(q *node.Queue) {
				q.OnJob("1", "retry", "completed", node.Opts{"resetAttemptsMade": true, "resetAttemptsStarted": true})
			},
			func(ctx context.Context, q queue) error {
				return q.Retry(ctx, "1", redisqueue.RetryOptions{From: domain.StateCompleted, ResetAttempts: true, ResetStarted: true})
			}, "",
		},
		"change delay": {
			func(q *node.Queue) { q.OnJob("7", "changeDelay", 7_200_000) },
			func(ctx context.Context, q queue) error { return q.ChangeDelay(ctx, "7", 2*time.Hour) }, "",
		},
		"give a priority": {
			func(q *node.Queue) { q.OnJob("5", "changePriority", node.Opts{"priority": 4}) },
			func(ctx context.Context, q queue) error {
				return q.ChangePriority(ctx, "5", redisqueue.PriorityChange{Priority: 4})
			}, "",
		},
		"change a priority, first in its class": {
			func(q *node.Queue) { q.OnJob("9", "changePriority", node.Opts{"priority": 3, "lifo": true}) },
			func(ctx context.Context, q queue) error {
				return q.ChangePriority(ctx, "9", redisqueue.PriorityChange{Priority: 3, LIFO: true})
			}, "",
		},
		"take a priority, first in line": {
			func(q *node.Queue) { q.OnJob("9", "changePriority", node.Opts{"priority": 0, "lifo": true}) },
			func(ctx context.Context, q queue) error {
				return q.ChangePriority(ctx, "9", redisqueue.PriorityChange{LIFO: true})
			}, "",
		},
		"priority of a delayed job": {
			func(q *node.Queue) { q.OnJob("7", "changePriority", node.Opts{"priority": 9}) },
			func(ctx context.Context, q queue) error {
				return q.ChangePriority(ctx, "7", redisqueue.PriorityChange{Priority: 9})
			}, "",
		},
		"update data": {
			func(q *node.Queue) { q.OnJob("5", "updateData", node.Opts{"b": 2}) },
			func(ctx context.Context, q queue) error { return q.UpdateData(ctx, "5", []byte(`{"b":2}`)) }, "",
		},
		"update progress": {
			func(q *node.Queue) { q.OnJob("5", "updateProgress", node.Opts{"p": 1}) },
			func(ctx context.Context, q queue) error { return q.UpdateProgress(ctx, "5", []byte(`{"p":1}`)) }, "",
		},
		"add log": {
			func(q *node.Queue) { q.OnJob("1", "log", "more") },
			func(ctx context.Context, q queue) error { return counted(q.AddLog(ctx, "1", "more", 0)) }, "",
		},
		"add log and keep one": {
			func(q *node.Queue) { q.Call("addJobLog", "1", "more", 1) },
			func(ctx context.Context, q queue) error { return counted(q.AddLog(ctx, "1", "more", 1)) }, node.V6,
		},
		"clear log": {
			func(q *node.Queue) { q.OnJob("1", "clearLogs") },
			func(ctx context.Context, q queue) error { return q.ClearLog(ctx, "1", 0) }, "",
		},
		"remove": {
			func(q *node.Queue) {
				for _, id := range []string{"1", "2", "5", "6", "7"} {
					q.Call("remove", id)
				}
			},
			func(ctx context.Context, q queue) error {
				var errs []error
				for _, id := range []domain.JobID{"1", "2", "5", "6", "7"} {
					errs = append(errs, q.Remove(ctx, id, redisqueue.RemoveOptions{}))
				}
				return errors.Join(errs...)
			}, "",
		},
		"pause": {
			func(q *node.Queue) { q.Call("pause") },
			func(ctx context.Context, q queue) error { return q.Pause(ctx) }, "",
		},
		"pause and resume": {
			func(q *node.Queue) { q.Call("pause"); q.Call("resume") },
			func(ctx context.Context, q queue) error { return errors.Join(q.Pause(ctx), q.Resume(ctx)) }, "",
		},
		"drain": {
			func(q *node.Queue) { q.Call("drain") },
			func(ctx context.Context, q queue) error { return counted(q.Drain(ctx, redisqueue.DrainOptions{})) }, "",
		},
		"drain with delayed": {
			func(q *node.Queue) { q.Call("drain", true) },
			func(ctx context.Context, q queue) error {
				return counted(q.Drain(ctx, redisqueue.DrainOptions{Delayed: true}))
			}, "",
		},
		"clean completed": cleans(domain.StateCompleted, "completed", 0), "clean failed, one": cleans(domain.StateFailed, "failed", 1),
		"clean wait": cleans(domain.StateWait, "wait", 0), "clean delayed": cleans(domain.StateDelayed, "delayed", 0),
		"clean prioritized": cleans(domain.StatePrioritized, "prioritized", 0), "clean active": cleans(domain.StateActive, "active", 0),
		"obliterate": {
			func(q *node.Queue) { q.Call("pause"); q.Call("obliterate", node.Opts{"force": true}) },
			func(ctx context.Context, q queue) error {
				return errors.Join(q.Pause(ctx), counted(q.Obliterate(ctx, redisqueue.ObliterateOptions{Force: true})))
			}, "",
		},
		"retry all": {
			func(q *node.Queue) { q.Call("retryJobs") },
			func(ctx context.Context, q queue) error {
				return counted(q.RetryAll(ctx, redisqueue.RetryAllOptions{}))
			}, "",
		},
		"retry all completed": {
			func(q *node.Queue) { q.Call("retryJobs", node.Opts{"state": "completed"}) },
			func(ctx context.Context, q queue) error {
				return counted(q.RetryAll(ctx, redisqueue.RetryAllOptions{From: domain.StateCompleted}))
			}, "",
		},
		"retry none": {
			func(q *node.Queue) { q.Call("retryJobs", node.Opts{"timestamp": 1}) },
			func(ctx context.Context, q queue) error {
				return counted(q.RetryAll(ctx, redisqueue.RetryAllOptions{Until: time.UnixMilli(1)}))
			}, "",
		},
		"trim events": {
			func(q *node.Queue) { q.Call("trimEvents", 0) },
			func(ctx context.Context, q queue) error { return counted(q.TrimEvents(ctx, 0)) }, "",
		},
		"remove orphans": {
			func(q *node.Queue) { q.Call("removeOrphanedJobs") },
			func(ctx context.Context, q queue) error { return counted(q.RemoveOrphans(ctx, redisqueue.Bulk{})) }, node.V5Last,
		},
	}
}

func cleans(state domain.State, name string, limit int) twin {
	return twin{
		func(q *node.Queue) { q.Call("clean", 0, limit, name) },
		func(ctx context.Context, q *redisqueue.Queue) error {
			return counted(q.Clean(ctx, redisqueue.CleanOptions{State: state, Bulk: redisqueue.Bulk{Limit: limit}}))
		}, "",
	}
}

func TestCheck74_TaktsOperationsLeaveWhatNodesLeave(t *testing.T) {
	t.Parallel()
	for name, op := range twins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, version := range node.Versions() {
				if slices.Index(node.Versions(), version) < slices.Index(node.Versions(), op.since) {
					continue
				}
				t.Run(version, func(t *testing.T) {
					leaveOut(t, version != fastVersion || (name != "retry" && name != "drain with delayed" && name != "obliterate"))
					wantTwins(t, version, op)
				})
			}
		})
	}
}

func wantTwins(t *testing.T, version string, op twin) {
	t.Helper()
	dumps := map[bool]keydump.Dump{}
	for _, byTakt := range []bool{false, true} {
		l := newLab(t, version)
		everyState(l, sides()[0])
		if op.since == node.V5Last {
			l.Queue("mail").Add("lost", 1)
			must(t, l.redis.LRem(t.Context(), key("wait"), 1, "11"))
		}
		redistest.Pass(2 * time.Millisecond) // clean looks for what is older than now
		if byTakt {
			if err := op.takt(t.Context(), l.operated()); err != nil {
				t.Fatal(err)
			}
		} else {
			op.node(l.Queue("mail"))
		}
		dumps[byTakt] = l.dump().Without(":marker", ":stalled-check")
	}
	if diff := keydump.Diff(dumps[false], dumps[true]); diff != "" {
		t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
	}
}

func TestCheck26_NodeRespectsWhatTaktChangesAboutADelay(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail"), l.operated()
		sooner, now := queue.Add("send", 1, node.Opts{"delay": 3_600_000}).ID, queue.Add("send", 2, node.Opts{"delay": 3_600_000}).ID
		l.Worker("mail", node.Steps{})
		if err := ours.Promote(t.Context(), domain.JobID(now)); err != nil {
			t.Fatal(err)
		}
		l.awaitIn("completed", now)
		if err := ours.ChangeDelay(t.Context(), domain.JobID(sooner), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		l.awaitIn("completed", sooner)
	})
}

func TestCheck28_TaktRetriesAJobThatFailedInNode(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", 1).ID
		l.Worker("mail", node.Steps{"send": {node.FailTimes(1, "busy"), node.Echo()}})
		l.awaitIn("failed", id)
		if err := l.operated().Retry(t.Context(), domain.JobID(id), redisqueue.RetryOptions{}); err != nil {
			t.Fatal(err)
		}
		l.awaitIn("completed", id)
		if job := queue.MustJob(id); len(job.Stacktrace) != 1 || l.hash(id)["failedReason"] != "" {
			t.Errorf("job = %+v, want its stack kept and no reason", job)
		}
	})
}

func TestCheck29_TaktRetriesAndPromotesAllJobsOfNode(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail"), l.operated()
		for range 5 {
			queue.Add("send", 1)
			queue.Add("later", 1, node.Opts{"delay": 3_600_000})
		}
		l.Worker("mail", node.Steps{"send": {node.FailTimes(1, "busy"), node.Echo()}})
		l.awaitCount("failed", 5)
		retried, err := ours.RetryAll(t.Context(), redisqueue.RetryAllOptions{})
		if err != nil || retried != 5 {
			t.Fatalf("RetryAll = %d, %v, want 5", retried, err)
		}
		promoted, err := ours.PromoteAll(t.Context(), redisqueue.Bulk{})
		if err != nil || promoted != 5 {
			t.Fatalf("PromoteAll = %d, %v, want 5", promoted, err)
		}
		l.awaitCount("completed", 10)
	})
}

func TestCheck32_NodeRespectsAPriorityThatTaktChanged(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		ours := l.operated()
		var ids []string
		for range 3 {
			ids = append(ids, l.put("send", `1`, domain.JobOptions{Priority: 5}))
		}
		for id, change := range map[string]redisqueue.PriorityChange{ids[2]: {Priority: 1}, ids[1]: {Priority: 5, LIFO: true}} {
			if err := ours.ChangePriority(t.Context(), domain.JobID(id), change); err != nil {
				t.Fatal(err)
			}
		}
		l.Worker("mail", node.Steps{})
		l.awaitCount("completed", 3)
		var order []string
		for _, e := range l.stream("active") {
			order = append(order, e["jobId"])
		}
		if want := []string{ids[2], ids[1], ids[0]}; fmt.Sprint(order) != fmt.Sprint(want) {
			t.Errorf("order = %v, want %v", order, want)
		}
	})
}

func TestCheck74_TaktRefusesWhatNodeRefuses(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail"), l.operated()
		queue.Call("upsertJobScheduler", "s", node.Opts{"every": 3_600_000, "startDate": time.Now().Add(time.Hour).UnixMilli()})
		pending := domain.JobID(queue.IDs("delayed")[0])
		if err := ours.Remove(t.Context(), pending, redisqueue.RemoveOptions{}); !errors.Is(err, redisqueue.ErrScheduled) {
			t.Errorf("Remove(%s) = %v, want %v", pending, err, redisqueue.ErrScheduled)
		}
		if _, err := ours.Obliterate(t.Context(), redisqueue.ObliterateOptions{}); !errors.Is(err, redisqueue.ErrNotPaused) {
			t.Errorf("Obliterate = %v, want %v", err, redisqueue.ErrNotPaused)
		}
		id := domain.JobID(l.put("send", `1`))
		held := l.desk().next()
		if err := ours.Remove(t.Context(), held.Job.ID, redisqueue.RemoveOptions{}); held.Job.ID != id || !errors.Is(err, redisqueue.ErrLocked) {
			t.Errorf("Remove(%s) = %v, want %v", held.Job.ID, err, redisqueue.ErrLocked)
		}
		queue.Call("pause")
		if _, err := ours.Obliterate(t.Context(), redisqueue.ObliterateOptions{}); !errors.Is(err, redisqueue.ErrActive) {
			t.Errorf("Obliterate = %v, want %v", err, redisqueue.ErrActive)
		}
		for name, err := range map[string]error{
			"Promote": ours.Promote(t.Context(), id), "Retry": ours.Retry(t.Context(), id, redisqueue.RetryOptions{}),
			"ChangeDelay": ours.ChangeDelay(t.Context(), id, time.Second),
		} {
			if !errors.Is(err, redisqueue.ErrOtherState) {
				t.Errorf("%s of an active job = %v, want %v", name, err, redisqueue.ErrOtherState)
			}
		}
		for name, err := range map[string]error{
			"Promote": ours.Promote(t.Context(), "99"), "Retry": ours.Retry(t.Context(), "99", redisqueue.RetryOptions{}),
			"ChangePriority": ours.ChangePriority(t.Context(), "99", redisqueue.PriorityChange{}), "UpdateData": ours.UpdateData(t.Context(), "99", []byte("1")),
			"Remove": ours.Remove(t.Context(), "99", redisqueue.RemoveOptions{}), "AddLog": counted(ours.AddLog(t.Context(), "99", "x", 0)),
		} {
			if !errors.Is(err, ports.ErrNotFound) {
				t.Errorf("%s of no job = %v, want %v", name, err, ports.ErrNotFound)
			}
		}
	})
}
