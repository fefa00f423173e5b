package interop_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// planned returns the times, in ms, that the ids of a scheduler's jobs name.
func planned(t *testing.T, scheduler string, ids []string) []int64 {
	t.Helper()
	var times []int64
	for _, id := range ids {
		ms, err := strconv.ParseInt(strings.TrimPrefix(id, "repeat:"+scheduler+":"), 10, 64)
		if err != nil {
			t.Fatalf("id = %s, want repeat:%s:<ms>", id, scheduler)
		}
		times = append(times, ms)
	}
	return times
}

// wantSteps checks that the times are the step apart.
func wantSteps(t *testing.T, times []int64, step int64) {
	t.Helper()
	for i := 1; i < len(times); i++ {
		if times[i]-times[i-1] != step {
			t.Errorf("planned times = %v, want steps of %d ms", times, step)
			return
		}
	}
}

// awaitRuns waits until n jobs have run.
func (j *journal) awaitRuns(t *testing.T, n int) []string {
	t.Helper()
	await(t, strconv.Itoa(n)+" runs", func() bool { return len(j.ids()) >= n })
	return j.ids()
}

func TestCheck67_TaktKeepsAnIntervalOfNodesGoing(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		l.work(work{handlers: handlers{"tick": order.note}})
		queue.Call("upsertJobScheduler", "beat", node.Opts{"every": 200}, node.Opts{
			"name": "tick", "data": node.Opts{"a": 1}, "opts": node.Opts{"removeOnComplete": 100},
		})
		runs := planned(t, "beat", order.awaitRuns(t, 6))
		wantSteps(t, runs[1:], 200)
		for _, job := range order.seen() {
			if string(job.Data) != `{"a":1}` {
				t.Errorf("data = %s, want the template's", job.Data)
			}
		}
		scheduler := node.Decode[struct {
			Next           int64  `json:"next"`
			Name           string `json:"name"`
			IterationCount int64  `json:"iterationCount"`
		}](t, queue.Call("getJobScheduler", "beat"))
		if last := runs[len(runs)-1]; scheduler.Next < last+200 || (scheduler.Next-last)%200 != 0 {
			t.Errorf("next = %d, want a step of 200 after %d", scheduler.Next, last)
		}
		if scheduler.IterationCount < 6 {
			t.Errorf("iteration count = %d, want at least 6", scheduler.IterationCount)
		}

		queue.Call("removeJobScheduler", "beat")
		redistest.Pass(50 * time.Millisecond) // a run that had begun ends
		before := len(order.ids())
		redistest.Pass(500 * time.Millisecond)
		if after := len(order.ids()); after != before {
			t.Errorf("%d runs after the removal, want none", after-before)
		}
		if l.has("repeat") || l.has("repeat:beat") {
			t.Error("keys of the scheduler are left")
		}
	})
}

// Node's worker goes on where Takt's stopped, and the other way round.
func TestCheck67_BothWorkersTakeTurnsAtASchedule(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		queue.Call("upsertJobScheduler", "beat", node.Opts{"every": 200}, node.Opts{"name": "tick"})
		first := l.work(work{handlers: handlers{"tick": order.note}})
		order.awaitRuns(t, 3)
		stop(first)
		seen := len(order.ids())
		worker := l.Worker("mail", node.Steps{})
		worker.Await(t, 3, "completed")
		worker.Close()
		l.work(work{handlers: handlers{"tick": order.note}})
		order.awaitRuns(t, seen+3)
	})
}

func TestCheck67_AFailingRunDoesNotForkTheSchedule(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		l.work(work{concurrency: 4, handlers: handlers{"tick": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			_, _ = order.note(ctx, job)
			if job.AttemptsStarted == 1 {
				return nil, errBusy
			}
			return nil, nil
		}}})
		queue.Call("upsertJobScheduler", "beat", node.Opts{"every": 200}, node.Opts{"name": "tick", "opts": node.Opts{"attempts": 3}})
		order.awaitRuns(t, 8)
		if n := len(l.scores("delayed")); n > 1 {
			t.Errorf("%d jobs are planned, want one at most", n)
		}
		if counts := queue.Counts("failed", "completed"); counts["failed"] != 0 || counts["completed"] < 3 {
			t.Errorf("counts = %v, want the runs completed at their second attempt", counts)
		}
	})
}

func TestCheck68_TaktStopsAPatternAtItsLimit(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		l.work(work{handlers: handlers{"tick": order.note}})
		queue.Call("upsertJobScheduler", "each-second", node.Opts{"pattern": "* * * * * *", "tz": "Asia/Kathmandu", "limit": 2},
			node.Opts{"name": "tick"})
		runs := planned(t, "each-second", order.awaitRuns(t, 2))
		wantSteps(t, runs, 1000)
		redistest.Pass(1500 * time.Millisecond)
		if got := order.ids(); len(got) != 2 {
			t.Errorf("runs = %v, want exactly two", got)
		}
		if n := len(l.scores("delayed")); n != 0 {
			t.Errorf("%d jobs are planned, want none", n)
		}
	})
}

// The time of day of a pattern is that of its zone: Takt plans the run that
// Node would plan.
func TestCheck68_TaktPlansTheRunThatNodeWouldPlan(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		for name, repeat := range map[string]node.Opts{
			"paris":    {"pattern": "30 2 * * *", "tz": "Europe/Paris"},
			"lordhowe": {"pattern": "15 1,13 * * 1-5", "tz": "Australia/Lord_Howe"},
			"no-zone":  {"pattern": "0 */6 * * *"},
			"last-day": {"pattern": "0 12 L * *", "tz": "America/New_York"},
			"either":   {"pattern": "0 9 13 * 5", "tz": "UTC"},
			"seconds":  {"pattern": "*/20 59 23 31 12 *", "tz": "Pacific/Apia"},
		} {
			l.wantNodesRun(name, repeat)
		}
	})
}

// nextRun makes a schedule, has its first run worked, and returns the id of the
// next.
func nextRun(l *lab, name string, repeat node.Opts, work func(*lab)) string {
	l.t.Helper()
	queue := l.Queue("mail")
	queue.Call("upsertJobScheduler", name, repeat, node.Opts{"name": "tick"})
	queue.Call("promoteJobs")
	work(l)
	await(l.t, "the next run to be planned", func() bool { return len(l.scores("delayed")) == 1 })
	l.awaitCount("completed", 1)
	return strings.Join(queue.IDs("delayed"), " ")
}

// 6.x has no such API any more.
func TestCheck70_TaktKeepsALegacyRepetitionGoing(t *testing.T) {
	forSome(t, full, []string{node.V5First, node.V5Last}, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		l.work(work{handlers: handlers{"tick": order.note}})
		queue.Add("tick", node.Opts{"a": 1}, node.Opts{"repeat": node.Opts{"every": 200}})
		ids := order.awaitRuns(t, 5)
		scheduler := strings.Split(ids[0], ":")[1]
		wantSteps(t, planned(t, scheduler, ids), 200)
	})
}
