package interop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// wantDue checks for how long each delayed event puts its job off, from the
// time of the event itself: both are the server's.
func (l *lab) wantDue(want ...int64) {
	l.t.Helper()
	const apart = 5 // the two may be read at the two ends of a call
	var offsets []int64
	for _, message := range must(l.t, l.redis.XRange(l.t.Context(), key("events"), "-", "+")) {
		if message.Values["event"] != "delayed" {
			continue
		}
		written, _, _ := strings.Cut(message.ID, "-")
		at, err := strconv.ParseInt(written, 10, 64)
		due, dueErr := strconv.ParseInt(fmt.Sprint(message.Values["delay"]), 10, 64)
		if err != nil || dueErr != nil {
			l.t.Fatalf("event %v: its time or delay is no integer", message)
		}
		offsets = append(offsets, due-at)
	}
	if !slices.EqualFunc(offsets, want, func(got, want int64) bool { return got >= want-apart && got <= want+apart }) {
		l.t.Errorf("jobs are due %v ms after they were put off, want %v", offsets, want)
	}
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
		l.wantDue(200)
		due := l.stream("delayed")[0].number(t, "delay")
		if second := order.times()[1].UnixMilli(); second < due {
			t.Errorf("second attempt began %d ms before it was due", due-second)
		}
		if story := l.storyOf(id); !slices.Contains(story, "waiting prev=delayed") {
			t.Errorf("events = %v, want the promotion among them", story)
		}
	})
}

func TestCheck17_AnExponentialBackoffDoubles(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		order := &journal{}
		id := l.Queue("mail").Add("send", node.Opts{}, node.Opts{"attempts": 4, "backoff": node.Opts{"type": "exponential", "delay": 50}}).ID
		l.work(work{handlers: handlers{"send": order.failing}})
		l.awaitIn("failed", id)
		l.wantDue(50, 100, 200)
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
		var delays []string
		for _, e := range l.stream("delayed") {
			delays = append(delays, l.hash(e["jobId"])["delay"])
		}
		wantJittered(t, delays, 500, 1000)
	})
}

// wantJittered checks that the delays lie between the bounds, and not all at
// one end: of ten, one in a million would.
func wantJittered(t *testing.T, delays []string, least, most int) {
	t.Helper()
	low, high := 0, 0
	for _, text := range delays {
		delay, err := strconv.Atoi(text)
		if err != nil || delay < least || delay > most {
			t.Errorf("delay = %q ms, want between %d and %d", text, least, most)
		}
		if delay < most-(most-least)/4 {
			low++
		}
		if delay > least+(most-least)/4 {
			high++
		}
	}
	if low == 0 || high == 0 {
		t.Errorf("delays = %v, want them spread between %d and %d", delays, least, most)
	}
}

// The first job of a scheduler stores the option as its caller wrote it.
func TestCheck19_ABareNumberIsAFixedBackoff(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		order := &journal{}
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		must(t, l.redis.HSet(t.Context(), key(id), "opts", `{"attempts":2,"backoff":1000}`))
		l.work(work{handlers: handlers{"send": order.failing}})
		l.awaitIn("failed", id)
		l.wantDue(1000)
		if times := order.times(); times[1].Sub(times[0]) < time.Second {
			t.Errorf("tried again after %s, want at least a second", times[1].Sub(times[0]))
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
		byNode := queue.Add("send", node.Opts{}, node.Opts{"delay": 200}).ID
		marked := l.put("send", `{}`, short)
		queue.OnJob(changed, "changeDelay", 5000)
		l.work(work{handlers: handlers{"send": order.note}})
		queue.OnJob(promoted, "promote")
		l.awaitIn("completed", promoted)
		l.awaitIn("completed", marked)
		l.awaitIn("completed", byNode)
		if early := l.field(byNode, "timestamp") + 200 - l.field(byNode, "processedOn"); early > 1 {
			t.Errorf("node's job was started %d ms before it was due", early)
		}
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
