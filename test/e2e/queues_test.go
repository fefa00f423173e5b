package e2e_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/taktwork/takt/test/redistest"
)

// TestQueuesAreOperatedOnAlikeInMemoryAndRedis runs the same commands against
// a worker's memory and against Redis, and wants the same answers.
func TestQueuesAreOperatedOnAlikeInMemoryAndRedis(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		h.ask(t, slowBin, "queues", "other").want(t, 69, "no running worker")
		h.ask(t, slowBin, "queues", "drain", "other").want(t, 69, "no running worker")
		operateOnQueues(t, h)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		operateOnQueues(t, onRedis(t, redistest.Start(t)))
	})
}

func operateOnQueues(t *testing.T, h *host) {
	t.Helper()
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "queues").want(t, 0, "worker-default", "slow ")
	for _, id := range []string{"a", "b", "c"} {
		h.ask(t, slowBin, "enqueue", "other", "any.thing", "--id", id, "--data", `{"user":7}`).want(t, 0, "accepted")
	}
	h.ask(t, slowBin, "enqueue", "other", "any.thing", "--id", "d", "--delay", "1d").want(t, 0, "accepted")
	ask := func(code int, line string, texts ...string) {
		t.Helper()
		h.ask(t, slowBin, append([]string{"queues"}, strings.Fields(line)...)...).want(t, code, texts...)
	}
	ask(0, "other", "other  3     0            1", "runs")
	ask(0, "other --json", `"wait": 3`, `"paused": false`, `"oldestWaiting": "2`)
	ask(0, "jobs other --state wait --limit 2", "a   any.thing", "b   any.thing")
	ask(0, "job other a", "state     wait", `"user": 7`)
	ask(0, "job other a --json", `"detail": {`)
	ask(65, "job other nope", `"nope"`, "not found")
	ask(0, "pause other --dry-run", "not paused; it would be paused")
	ask(0, "pause other", "other is paused")
	ask(0, "resume other", "other is not paused")
	ask(0, "promote other d", "1 job promoted")
	ask(0, "remove other a --dry-run", "1 job would be removed")
	ask(65, "remove other a x", "1 job removed", `not removed: "x"`)
	ask(0, "drain other --dry-run", "3 jobs would be removed")
	ask(0, "drain other", "3 jobs removed")
	ask(0, "clean other --state failed", "0 jobs removed")
	ask(0, "other", "other  0")

	h.ask(t, slowBin, "enqueue", "slow", "slow.bad", "--id", "bad").want(t, 0, "accepted")
	h.askUntil(t, "1/1", slowBin, "queues", "jobs", "slow").want(t, 0, "bad  slow.bad", "no such table")
	ask(0, "retry slow --dry-run", "1 job would be retried")
	ask(0, "retry slow bad", "1 job retried")
	h.askUntil(t, "2/1", slowBin, "queues", "jobs", "slow").want(t, 0, "bad  slow.bad")
	ask(0, "clean slow --state failed", "1 job removed")
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}
