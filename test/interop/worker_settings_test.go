package interop_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
)

// A processor in a file of its own works Takt's jobs as one in the worker does.
func TestASandboxedProcessorOfNodeWorksTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, c := range []struct {
			opts   node.Opts
			result string
			line   string
		}{
			{node.Opts{"useWorkerThreads": true, "workerThreadsOptions": node.Opts{"env": node.Opts{"TAKT_FORKED": "thread"}}}, "thread", "worked in a thread"},
			{node.Opts{"workerForkOptions": node.Opts{"env": node.Opts{"TAKT_FORKED": "fork"}}}, "fork", "worked in a process"},
		} {
			l := newLab(t, l.Version)
			id := l.put("send", `{"a":1}`)
			l.New("Worker", c.opts, "mail", node.Sandboxed())
			l.awaitIn("completed", id)
			want := `{"sandboxed":{"a":1},"forked":"` + c.result + `"}`
			if got := string(l.Queue("mail").MustJob(id).ReturnValue); got != want {
				t.Errorf("result = %s, want %s", got, want)
			}
			if lines, _ := l.Queue("mail").Logs(id); len(lines) != 1 || lines[0] != c.line {
				t.Errorf("log = %q, want %s", lines, c.line)
			}
		}
	})
}

// A back-off of Node's own is asked for the jobs that name it; Takt's jobs,
// which cannot, keep theirs.
func TestABackoffOfNodesOwnLeavesTaktsJobsTheirs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`, domain.JobOptions{Attempts: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Hour}})
		own := l.Queue("mail").Add("send", 1, node.Opts{"attempts": 2, "backoff": node.Opts{"type": "mine"}}).ID
		l.Worker("mail", node.Steps{"*": {node.Fail("busy")}}, node.Opts{"settings": node.Opts{"backoffStrategy": node.Delays(7_200_000)}})
		await(t, "both to be delayed", func() bool { return len(l.scores("delayed")) == 2 })
		l.wantHash(id, map[string]string{"delay": "3600000"})
		l.wantHash(own, map[string]string{"delay": "7200000"})
	})
}

// A back-off that a handler of Takt's names is that of Node's job, and waits as
// Node's worker would with the same.
func TestABackoffOfTaktsHandlerDelaysNodesJobs(t *testing.T) {
	hours := func(attempts int, job *domain.Job, _ error) time.Duration {
		if attempts > 2 {
			return -1
		}
		return time.Duration(attempts) * job.Options.Backoff.Delay
	}
	forVersions(t, full, func(t *testing.T, l *lab) {
		try := func(l *lab, work func(*lab)) keydump.Dump {
			queue := l.Queue("mail")
			queue.Add("send", 1, node.Opts{"jobId": "a", "attempts": 9, "backoff": node.Opts{"type": "hours", "delay": 3_600_000}})
			work(l)
			for _, delay := range []string{"3600000", "7200000"} {
				await(t, "the job to wait", func() bool { return l.hash("a")["delay"] == delay && len(l.scores("delayed")) == 1 })
				queue.OnJob("a", "promote")
			}
			l.awaitIn("failed", "a")
			return l.dump().Without(":marker", ":stalled-check")
		}
		left := try(newLab(t, l.Version), func(l *lab) {
			l.Worker("mail", node.Steps{"*": {node.Fail(errBusy.Error())}}, node.Opts{
				"name": "w", "settings": node.Opts{"backoffStrategy": node.Delays(3_600_000, 7_200_000, -1)},
			})
		})
		got := try(l, func(l *lab) {
			l.work(work{handlers: handlers{"send": fails(errBusy)}, route: func(r *runner.Route) {
				r.Backoffs = map[domain.BackoffKind]runner.BackoffFunc{"hours": hours}
			}})
		})
		if diff := keydump.Diff(left, got); diff != "" {
			t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
		}
	})
}

// A delay of -1 lets no attempt follow, whatever is left.
func TestABackoffOfMinusOneFailsTheJobAtOnce(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, backoff := range []any{-1, node.Opts{"type": "fixed", "delay": -1}, node.Opts{"type": "exponential", "delay": -1}} {
			try := func(l *lab, work func(*lab)) keydump.Dump {
				l.Queue("mail").Add("send", 1, node.Opts{"jobId": "a", "attempts": 9, "backoff": backoff})
				work(l)
				l.awaitIn("failed", "a")
				l.wantHash("a", map[string]string{"ats": "1", "atm": "1", "failedReason": errBusy.Error()})
				return l.dump().Without(":marker", ":stalled-check")
			}
			left := try(newLab(t, l.Version), func(l *lab) {
				l.Worker("mail", node.Steps{"*": {node.Fail(errBusy.Error())}}, node.Opts{"name": "w"})
			})
			got := try(newLab(t, l.Version), func(l *lab) {
				l.work(work{handlers: handlers{"send": fails(errBusy)}})
			})
			if diff := keydump.Diff(left, got); diff != "" {
				t.Errorf("after backoff %v takt leaves other keys than node (-node +takt):\n%s", backoff, diff)
			}
		}
	})
}

// A back-off that nobody knows fails the job with its name. Node's worker
// leaves the job active until its lock runs out.
func TestABackoffThatTaktDoesNotKnowFailsTheJobWithItsName(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		strange := queue.Add("send", 1, node.Opts{"attempts": 3, "backoff": node.Opts{"type": "hours", "delay": 50}}).ID
		later := queue.Add("later", 1, node.Opts{"attempts": 3, "backoff": node.Opts{"type": "hours"}}).ID
		l.work(work{handlers: handlers{"send": fails(errBusy), "later": fails(domain.RetryAfter(time.Hour, errBusy))}})
		l.awaitIn("failed", strange)
		want := `unknown backoff "hours" after: ` + errBusy.Error()
		l.wantHash(strange, map[string]string{"failedReason": want, "atm": "1"})
		failed := node.Decode[map[string]string](t, events.Await(t, 1, "failed")[0].Args[0])
		if got := failed["failedReason"]; got != want {
			t.Errorf("node hears of %q, want %q", got, want)
		}
		await(t, "the job whose error says when", func() bool { return len(l.scores("delayed")) == 1 })
		l.wantHash(later, map[string]string{"delay": "3600000"})

		queue.OnJob(strange, "retry")
		l.awaitIn("failed", strange)
		await(t, "a second try", func() bool { return l.hash(strange)["atm"] == "2" })
	})
}

// Settings of schedules of Node's own are for schedules that Node plans: jobs
// of Takt are worked beside them.
func TestSettingsOfNodesSchedulesLeaveTaktsJobsAlone(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		settings := node.Opts{"settings": node.Opts{"repeatKeyHashAlgorithm": "sha256", "repeatStrategy": node.Delays(1)}}
		queue := l.Queue("mail", settings)
		l.Worker("mail", node.Steps{}, settings)
		id := l.put("send", `7`)
		l.awaitIn("completed", id)
		if got := string(queue.MustJob(id).ReturnValue); got != "7" {
			t.Errorf("result = %s, want that of takt's job", got)
		}
	})
}

// A schedule that a program of Node computes is not continued by Takt: its job
// is worked, the log names the pattern, and Node takes the schedule up again.
func TestAScheduleThatNodeComputesIsWorkedAndReported(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		book := &lockedBuffer{}
		l.work(work{handlers: handlers{"tick": echo}, config: func(c *redisqueue.Config) {
			c.Log = slog.New(slog.NewTextHandler(book, nil))
		}})
		for round := range 2 {
			// In time for a node that takes long: it plans no moment that has passed.
			due := int(time.Now().Add(2 * time.Second).UnixMilli())
			queue := l.Queue("mail", node.Opts{"settings": node.Opts{"repeatStrategy": node.Delays(due)}})
			queue.Call("upsertJobScheduler", "moon", node.Opts{"pattern": "full moon"}, node.Opts{"name": "tick"})
			l.awaitIn("completed", fmt.Sprintf("repeat:moon:%d", due))
			await(t, "the report", func() bool { return strings.Count(book.String(), "schedule not continued") == round+1 })
			if len(l.scores("delayed")) > 0 {
				t.Errorf("jobs %v are planned, want none: only node knows when", l.scores("delayed"))
			}
			if got := l.scores("repeat")["moon"]; int(got) != due {
				t.Errorf("the schedule is at %v, want it kept for node at %d", got, due)
			}
		}
		if !strings.Contains(book.String(), "full moon") {
			t.Errorf("log = %s, want the pattern named", book)
		}
	})
}

// What Node's telemetry sends along reaches Node's worker through Takt's queue,
// and Node's worker goes on from what Takt's producer sent.
func TestTelemetryOfNodeSpansTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		produced, worked := l.Listener(), l.Listener()
		telemetry := node.Opts{"telemetry": produced.Telemetry()}
		queue := l.Queue("mail", telemetry)
		id := queue.Add("send", 1, node.Opts{"attempts": 2}).ID
		metadata, _ := queue.MustJob(id).Opts["telemetry"].(map[string]any)
		if context, _ := metadata["metadata"].(string); !strings.HasPrefix(context, "root/") {
			t.Errorf("metadata = %v, want the context of node's producer", metadata)
		}
		desk := l.desk()
		desk.settle(desk.next(), domain.Outcome{Kind: domain.Retry, Reason: "again"})

		l.put("send", `2`)
		l.Worker("mail", node.Steps{}, node.Opts{"telemetry": worked.Telemetry()}).Await(t, 2, "completed")
		if got := text(t, worked.Await(t, 1, "metadata")[0].Args[0]); !strings.HasPrefix(got, "root/") {
			t.Errorf("node's worker goes on from %q, want what its producer sent", got)
		}
		worked.Await(t, 1, "span")
		if l.Version != node.V5First {
			queue.Call("recordJobCountsMetric")
			produced.Await(t, 1, "gauge")
		}
		l.New("FlowProducer", telemetry).Call("add", node.Opts{"name": "send", "queueName": "mail", "data": 3})
		produced.Await(t, 2, "span")
	})
}
