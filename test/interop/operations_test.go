package interop_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// operation is something that Node does to a queue of everyState.
type operation struct {
	name string
	do   func(l *lab, q *node.Queue)
	// since is the first version that has it; "" if all have it.
	since string
}

// call is an operation that is one call of the queue.
func call(method string, args ...any) operation {
	return operation{name: method, do: func(_ *lab, q *node.Queue) { q.Call(method, args...) }}
}

// onJob is an operation that is one call of a job.
func onJob(id, method string, args ...any) operation {
	return operation{name: method + " of job " + id, do: func(_ *lab, q *node.Queue) { q.OnJob(id, method, args...) }}
}

// refused is an operation that is one call of a job, which fails.
func refused(id, method string, args ...any) operation {
	return operation{name: method + " of job " + id + " refused", do: func(l *lab, q *node.Queue) {
		if _, err := q.TryOnJob(id, method, args...); err == nil {
			l.t.Errorf("%s of job %s = no error, want one", method, id)
		}
	}}
}

func operations() []operation {
	return []operation{
		call("updateJobProgress", "5", 40),
		call("addJobLog", "5", "a line", 2),
		call("removeDeprecatedPriorityKey"),
		call("trimEvents", 3),
		call("removeDeduplicationKey", "k"),
		call("removeDebounceKey", "k"),
		{name: "limits", do: func(_ *lab, q *node.Queue) {
			q.Call("setGlobalConcurrency", 3)
			q.Call("setGlobalRateLimit", 3, 1000)
		}},
		{name: "no limits", do: func(_ *lab, q *node.Queue) {
			q.Call("setGlobalConcurrency", 3)
			q.Call("setGlobalRateLimit", 3, 1000)
			q.Call("removeGlobalConcurrency")
			q.Call("removeGlobalRateLimit")
		}},
		call("rateLimit", 60_000),
		{name: "removeRateLimitKey", do: func(_ *lab, q *node.Queue) {
			q.Call("rateLimit", 60_000)
			q.Call("removeRateLimitKey")
		}},
		call("remove", "root", node.Opts{"removeChildren": true}),
		{name: "removeOrphanedJobs", since: node.V5Last, do: func(l *lab, q *node.Queue) {
			must(l.t, l.redis.HSet(l.t.Context(), key("orphan"), "name", "x", "data", "{}", "opts", "{}", "timestamp", 1))
			q.Call("removeOrphanedJobs")
		}},
		call("clean", 0, 0, "active"),
		call("retryJobs", node.Opts{"state": "completed"}),
		call("retryJobs", node.Opts{"state": "failed", "count": 1}),
		call("obliterate", node.Opts{"force": true, "count": 1}),
		{name: "pause and resume", do: func(_ *lab, q *node.Queue) {
			q.Call("pause")
			q.Call("resume")
		}},
		onJob("1", "updateData", "new"),
		onJob("1", "updateProgress", node.Opts{"p": 1}),
		onJob("1", "log", "another line"),
		onJob("1", "clearLogs"),
		onJob("1", "clearLogs", 1),
		onJob("2", "remove"),
		refused("5", "remove"),
		onJob("root", "remove"),
		onJob("root", "removeUnprocessedChildren"),
		onJob("2", "retry", "failed"),
		onJob("2", "retry", "failed", node.Opts{"resetAttemptsMade": true, "resetAttemptsStarted": true}),
		onJob("1", "retry", "completed", node.Opts{"resetAttemptsMade": true}),
		onJob("7", "promote"),
		onJob("10", "promote"),
		onJob("10", "changeDelay", 7_200_000),
		onJob("7", "changeDelay", 10),
		onJob("6", "changePriority", node.Opts{"priority": 2}),
		onJob("9", "changePriority", node.Opts{"priority": 1, "lifo": true}),
		onJob("owner", "removeDeduplicationKey"),
		onJob("owner", "remove"),
		refused("1", "promote"),
		refused("6", "retry", "failed"),
	}
}

func TestNodesOperationsLeaveOfTaktsQueueWhatTheyLeaveOfNodes(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, op := range operations() {
			if l.Version < op.since {
				continue
			}
			t.Run(op.name, func(t *testing.T) {
				dumps := map[string]keydump.Dump{}
				for _, s := range sides() {
					l := newLab(t, l.Version)
					s.everyState(l)
					redistest.Pass(2 * time.Millisecond) // clean looks for what is older than now
					op.do(l, l.Queue("mail"))
					dumps[s.name] = l.dump().Without(":marker", ":stalled-check", ":lock")
				}
				if diff := keydump.Diff(dumps["node"], dumps["takt"]); diff != "" {
					t.Errorf("takt's jobs leave other keys than node's (-node +takt):\n%s", diff)
				}
			})
		}
	})
}
