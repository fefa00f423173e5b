package interop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

var errBusy = errors.New("busy")

func TestCheck15_AJobWithoutBackoffIsTriedThreeTimesAndFails(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}, node.Opts{"attempts": 3}).ID
		l.work(work{handlers: handlers{"send": fails(errBusy)}})
		l.awaitIn("failed", id)

		l.wantStory(id,
			"added name=send", "waiting", "active prev=waiting", "waiting prev=active", "active prev=waiting", "waiting prev=active",
			"active prev=waiting", "failed failedReason=busy prev=active", "retries-exhausted attemptsMade=3")
		l.wantHash(id, map[string]string{"atm": "3", "ats": "3", "failedReason": "busy"})
		got := queue.MustJob(id)
		if len(got.Stacktrace) != 3 || !strings.HasPrefix(got.Stacktrace[0], "Error: busy") {
			t.Errorf("stacktrace = %q, want three that begin with the reason", got.Stacktrace)
		}
	})
}

// dueOffsets returns how long after the previous start of the job each of its
// delayed events says it is due, the time of the handler left out.
func dueOffsets(t *testing.T, l *lab, starts []time.Time) []int64 {
	t.Helper()
	var offsets []int64
	for i, e := range l.stream("delayed") {
		offsets = append(offsets, e.number(t, "delay")-starts[i].UnixMilli())
	}
	return offsets
}

// failing is a handler that notes its jobs and fails them.
func (j *journal) failing(ctx context.Context, job *domain.Job) ([]byte, error) {
	_, _ = j.note(ctx, job)
	return nil, errBusy
}

func TestCheck16_AFixedBackoffDelaysTheRetry(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		order := &journal{}
		id := l.Queue("mail").Add("send", node.Opts{}, node.Opts{"attempts": 2, "backoff": node.Opts{"type": "fixed", "delay": 200}}).ID
		l.work(work{handlers: handlers{"send": order.failing}})
		l.awaitIn("delayed", id)
		l.wantHash(id, map[string]string{"delay": "200", "atm": "1"})
		l.awaitIn("failed", id)

		l.wantHash(id, map[string]string{"delay": "0", "atm": "2"})
		due := l.stream("delayed")[0].number(t, "delay")
		if offset := due - order.times()[0].UnixMilli(); offset < 200 || offset > 250 {
			t.Errorf("due %d ms after the attempt, want 200 and what the write takes", offset)
		}
		if second := order.times()[1].UnixMilli(); second < due {
			t.Errorf("second attempt began %d ms before it was due", due-second)
		}
		if story := l.storyOf(id); !slices.Contains(story, "waiting prev=delayed") {
			t.Errorf("events = %v, want the promotion among them", story)
		}
	})
}

func TestCheck17_AnExponentialBackoffDoubles(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		order := &journal{}
		id := l.Queue("mail").Add("send", node.Opts{}, node.Opts{"attempts": 4, "backoff": node.Opts{"type": "exponential", "delay": 50}}).ID
		l.work(work{handlers: handlers{"send": order.failing}})
		l.awaitIn("failed", id)
		offsets := dueOffsets(t, l, order.times())
		for i, want := range []int64{50, 100, 200} {
			if len(offsets) != 3 || offsets[i] < want || offsets[i] > want+40 {
				t.Fatalf("due offsets = %v, want 50, 100 and 200 ms", offsets)
			}
		}
	})
}

func TestCheck18_JitterShortensTheBackoff(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		order := &journal{}
		backoff := node.Opts{"type": "fixed", "delay": 1000, "jitter": 0.5}
		queue := l.Queue("mail")
		for range 20 {
			queue.Add("send", node.Opts{}, node.Opts{"attempts": 2, "backoff": backoff})
		}
		l.work(work{handlers: handlers{"send": order.failing}})
		await(t, "the first attempts", func() bool { return len(l.stream("delayed")) == 20 })
		for _, e := range l.stream("delayed") {
			if delay := l.field(e["jobId"], "delay"); delay < 500 || delay > 1000 {
				t.Errorf("delay = %d ms, want between 500 and 1000", delay)
			}
		}
	})
}

// The first job of a scheduler stores the option as its caller wrote it.
func TestCheck19_ABareNumberIsAFixedBackoff(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		order := &journal{}
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		must(t, l.redis.HSet(t.Context(), key(id), "opts", `{"attempts":2,"backoff":1000}`))
		l.work(work{handlers: handlers{"send": order.failing}})
		l.awaitIn("failed", id)
		if offsets := dueOffsets(t, l, order.times()); len(offsets) != 1 || offsets[0] < 1000 || offsets[0] > 1050 {
			t.Errorf("due offsets = %v, want 1000 ms", offsets)
		}
	})
}

func TestCheck20_APermanentErrorFailsAtOnce(t *testing.T) {
	forVersions(t, fast, func(_ *testing.T, l *lab) {
		id := l.Queue("mail").Add("send", node.Opts{}, node.Opts{"attempts": 5}).ID
		l.work(work{handlers: handlers{"send": fails(domain.Permanent(errBusy))}})
		l.awaitIn("failed", id)
		l.wantStory(id, "added name=send", "waiting", "active prev=waiting", "failed failedReason=busy prev=active")
		l.wantHash(id, map[string]string{"atm": "1"})
	})
}

func TestCheck21_StackTraceLimitKeepsTheNewest(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		two := queue.Add("send", node.Opts{}, node.Opts{"attempts": 4, "stackTraceLimit": 2}).ID
		none := queue.Add("send", node.Opts{}, node.Opts{"attempts": 2, "stackTraceLimit": 0}).ID
		l.work(work{handlers: handlers{"send": func(_ context.Context, job *domain.Job) ([]byte, error) {
			return nil, fmt.Errorf("try %d", job.AttemptsMade+1)
		}}})
		l.awaitCount("failed", 2)
		got := queue.MustJob(two).Stacktrace
		if len(got) != 2 || !strings.HasPrefix(got[0], "Error: try 3") || !strings.HasPrefix(got[1], "Error: try 4") {
			t.Errorf("stacktrace = %q, want those of the tries 3 and 4", got)
		}
		l.wantHash(none, map[string]string{"stacktrace": "[]", "failedReason": "try 2"})
	})
}

func TestCheck22_TheReasonIsKeptByteForByte(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const reason = "a \"b\"\n"
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}).ID
		l.work(work{handlers: handlers{"send": fails(errors.New(reason))}})
		l.awaitIn("failed", id)
		if got := queue.MustJob(id).FailedReason; got == nil || *got != reason {
			t.Errorf("failedReason = %v, want %q", got, reason)
		}
	})
}

func TestCheck23_NodeStartsTaktsDelayedJobInTime(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{})
		await(t, "the worker to block", func() bool { return l.blocked() > 0 })
		id := l.put("send", `{}`, domain.JobOptions{Delay: 300 * time.Millisecond})
		due := l.field(id, "timestamp") + 300
		if score := l.scores("delayed")[id]; score != float64(due*4096) {
			t.Errorf("score = %.0f, want %d × 4096", score, due)
		}
		if e := l.stream("delayed")[0]; e.number(t, "delay") != due {
			t.Errorf("event says due at %s, want %d", e["delay"], due)
		}
		started := worker.Await(t, 1, "active")[0].At.UnixMilli()
		if early := due - started; early > 1 {
			t.Errorf("started %d ms before it was due", early)
		}
		if late := started - due; late > 2000 {
			t.Errorf("started %d ms late, want the delay marker to wake the worker", late)
		}
	})
}

func TestCheck23_TheDelayMarkerSaysWhenTheJobIsDue(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`, domain.JobOptions{Delay: 300 * time.Millisecond})
		if got, want := l.scores("marker"), l.field(id, "timestamp")+300; len(got) != 1 || int64(got["1"]) != want {
			t.Errorf("marker = %v, want member 1 at %d", got, want)
		}
	})
}

func TestCheck24_JobsDueTogetherKeepTheirOrder(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		delayed := domain.JobOptions{Delay: 200 * time.Millisecond}
		var ids []string
		for _, result := range l.putAll(job("send", `1`, delayed), job("send", `2`, delayed), job("send", `3`, delayed)) {
			ids = append(ids, string(result.ID))
		}
		scores := l.scores("delayed")
		if scores[ids[1]] != scores[ids[0]]+1 || scores[ids[2]] != scores[ids[0]]+2 {
			t.Errorf("scores = %v, want them to differ by one in the order of %v", scores, ids)
		}
		if got := startedBy(t, l.Worker("mail", node.Steps{}), 3); !slices.Equal(got, ids) {
			t.Errorf("order = %v, want %v", got, ids)
		}
	})
}

func TestCheck25_ADelayedJobKeepsItsPriority(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		queue.Call("pause")
		promoters := map[string]func(){
			"node": func() { l.Manual("mail").Next("t") },
			"takt": func() { l.desk().nothing(50 * time.Millisecond) },
		}
		for name, promote := range promoters {
			id := l.put("send", `{}`, domain.JobOptions{Delay: 50 * time.Millisecond, Priority: 4})
			await(t, "the job to be due", func() bool { return time.Now().UnixMilli() > l.field(id, "timestamp")+50 })
			await(t, "the job to be promoted by "+name, func() bool {
				promote()
				return queue.State(id) != "delayed"
			})
			if state := queue.State(id); state != "prioritized" {
				t.Errorf("promoted by %s: state = %s, want prioritized", name, state)
			}
			l.wantHash(id, map[string]string{"delay": "0", "priority": "4"})
		}
	})
}

func TestCheck26_TaktRespectsWhatNodeChangesAboutADelay(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, order := l.Queue("mail"), &journal{}
		short := domain.JobOptions{Delay: 200 * time.Millisecond}
		changed, promoted := l.put("send", `{}`, short), l.put("send", `{}`, domain.JobOptions{Delay: time.Hour})
		marked := l.put("send", `{}`, short)
		queue.OnJob(changed, "changeDelay", 5000)
		l.work(work{handlers: handlers{"send": order.note}})
		queue.OnJob(promoted, "promote")
		l.awaitIn("completed", promoted)
		l.awaitIn("completed", marked)
		if state := queue.State(changed); state != "delayed" {
			t.Errorf("state of the job put off by 5 s = %s, want delayed", state)
		}
		queue.OnJob(changed, "changeDelay", 50)
		l.awaitIn("completed", changed)
	})
}

func TestCheck27_ATaktHandlerPutsItsJobOff(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		events := l.Events("mail")
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		l.work(work{handlers: handlers{"send": func(_ context.Context, job *domain.Job) ([]byte, error) {
			if job.AttemptsStarted == 1 {
				return nil, domain.Snooze(300 * time.Millisecond)
			}
			return nil, nil
		}}})
		due := events.Await(t, 1, "delayed")[0].Field(t, "delay")
		l.wantHash(id, map[string]string{"atm": "-", "ats": "1", "delay": "300"})
		l.awaitIn("completed", id)
		l.wantHash(id, map[string]string{"atm": "1", "ats": "2", "delay": "0"})
		if want := l.stream("delayed")[0]["delay"]; due != want {
			t.Errorf("QueueEvents says due at %s, want %s", due, want)
		}
	})
}

func TestCheck28_NodeRetriesAJobThatFailedInTakt(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}).ID
		l.work(work{handlers: handlers{"send": func(_ context.Context, job *domain.Job) ([]byte, error) {
			if job.AttemptsStarted == 1 {
				return nil, errBusy
			}
			return []byte(`"done"`), nil
		}}})
		l.awaitIn("failed", id)
		queue.OnJob(id, "retry")
		l.awaitIn("completed", id)
		l.wantHash(id, map[string]string{"failedReason": "-", "returnvalue": `"done"`})
		if got := queue.MustJob(id).Stacktrace; len(got) != 1 {
			t.Errorf("stacktrace = %q, want the one of the failure", got)
		}
	})
}

func TestCheck29_NodeRetriesAndPromotesAllJobsOfTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		for range 3 {
			l.put("send", `{}`)
			l.put("later", `{}`, domain.JobOptions{Delay: time.Hour})
		}
		l.work(work{handlers: handlers{"later": echo, "send": func(_ context.Context, job *domain.Job) ([]byte, error) {
			if job.AttemptsStarted == 1 {
				return nil, errBusy
			}
			return nil, nil
		}}})
		l.awaitCount("failed", 3)
		queue.Call("retryJobs")
		queue.Call("promoteJobs")
		l.awaitCount("completed", 6)
		if counts := queue.Counts(); counts["failed"]+counts["delayed"]+counts["waiting"] != 0 {
			t.Errorf("counts = %v, want all completed", counts)
		}
	})
}
