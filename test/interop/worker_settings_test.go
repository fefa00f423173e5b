package interop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
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
