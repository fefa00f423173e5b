package cli_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/test/redistest"
)

// atRedis is an operator whose queues are on a server of their own.
type atRedis struct {
	t      *testing.T
	server *redistest.Server
}

func newAtRedis(t *testing.T) *atRedis {
	t.Helper()
	return &atRedis{t: t, server: redistest.Start(t)}
}

func (r *atRedis) invocation(words ...string) cli.Invocation {
	i := args(words...)
	i.Environ, i.Now = environ("REDIS_ENABLED=true", "REDIS_URL="+r.server.URL(0)), time.Now
	return i
}

// want runs a command and checks its exit code, and that it prints the texts.
func (r *atRedis) want(code int, line string, texts ...string) output {
	r.t.Helper()
	got := run(r.t, r.invocation(strings.Fields(line)...))
	if got.code != code {
		r.t.Errorf("worker %s: exit code %d, want %d; it printed\n%s%s", line, got.code, code, got.stdout, got.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(got.stdout+got.stderr, text) {
			r.t.Errorf("worker %s: no %q in\n%s%s", line, text, got.stdout, got.stderr)
		}
	}
	return got
}

// counts returns the jobs of the queue by state.
func (r *atRedis) counts(queue string) map[string]int {
	r.t.Helper()
	var states []struct{ Jobs map[string]int }
	got := r.want(cli.ExitOK, "queues "+queue+" --json")
	if err := json.Unmarshal([]byte(got.stdout), &states); err != nil || len(states) != 1 {
		r.t.Fatalf("worker queues --json prints %q (%v)", got.stdout, err)
	}
	return states[0].Jobs
}

// fail moves waiting jobs to the failed ones, as a worker leaves them.
func (r *atRedis) fail(queue string, ids ...string) {
	r.t.Helper()
	base, client, ctx := "bull:"+queue+":", r.server.Client(), r.t.Context()
	for i, id := range ids {
		ended := time.Now().Add(-time.Duration(i) * time.Hour).UnixMilli()
		commands := [][]any{
			{"lrem", base + "wait", 1, id},
			{"zadd", base + "failed", ended, id},
			{"rpush", base + id + ":logs", "began", "\x1b[2Jgone"},
			{"hset", base + id, "failedReason", "no such\nuser \x1b[31m7", "atm", 3, "finishedOn", ended, "stacktrace", `["Error: first","Error: last"]`},
		}
		for _, command := range commands {
			if err := client.Do(ctx, command...).Err(); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func TestQueuesInRedisNeedNoWorker(t *testing.T) {
	t.Parallel()
	r := newAtRedis(t)
	for range 3 {
		r.want(cli.ExitOK, `enqueue mail welcome --data {"user":7} --attempts 3 --backoff exponential:1s`)
	}
	r.want(cli.ExitOK, "enqueue mail later --id L1 --delay 1d")
	r.want(cli.ExitOK, "queues", "QUEUE", "worker-default", "runs")
	r.want(cli.ExitOK, "queues mail other", "mail   3     0            1", "other  0", " runs ")
	r.want(cli.ExitOK, "queues drian", "did you mean")
	r.want(cli.ExitOK, "queues jobs mail", "no failed jobs")
	r.want(cli.ExitOK, "queues jobs mail --state delayed", "L1  later", "0/1", "in 2")
	r.fail("mail", "1", "2")
	got := r.want(cli.ExitOK, "queues jobs mail --limit 1", "FINISHED", "1   welcome", "3/3", "no such …")
	if strings.Contains(got.stdout, "user") || strings.Count(got.stdout, "\n") != 2 {
		t.Errorf("the list shows more than it should:\n%s", got.stdout)
	}
	r.want(cli.ExitOK, "queues jobs mail --offset 1 --json", `"id": "2"`, `"reason": "no such\nuser \u001b[31m7"`)

	got = r.want(cli.ExitOK, "queues job mail 1", "state     failed", "3 of 3 failed", `"user": 7`, `\x1b[31m7`, "stack 2 of 2:\n  Error: last",
		"log:\n  began\n  \\x1b[2Jgone", "backoff   exponential 1s")
	if strings.Contains(got.stdout, "\x1b") || strings.Contains(got.stdout, "\ndue ") {
		t.Errorf("the job is shown with what a terminal obeys, or with a time that it is due:\n%q", got.stdout)
	}
	r.want(cli.ExitOK, "queues job mail 1 --json", `"detail": {`, `"bullmq": {`, `"unprocessed": 0`)
	r.want(cli.ExitBadData, "queues job mail nope", `job "nope" of queue mail: not found`)
}

func TestOperationsOnQueuesTellWhatTheyDo(t *testing.T) {
	t.Parallel()
	r := newAtRedis(t)
	for range 6 {
		r.want(cli.ExitOK, "enqueue mail welcome")
	}
	r.want(cli.ExitOK, "enqueue mail later --id L1 --delay 1d")
	r.want(cli.ExitOK, "enqueue mail later --id L2 --delay 1d")
	r.fail("mail", "1", "2", "3")
	for _, step := range []struct {
		line, prints string
		code         int
		// wait, delayed and failed are the jobs afterwards.
		wait, delayed, failed int
	}{
		{"pause mail --dry-run", "mail is not paused; it would be paused", 0, 3, 2, 3},
		{"pause mail", "mail is paused\n", 0, 3, 2, 3},
		{"pause mail --json --dry-run", `"paused": true`, 0, 3, 2, 3},
		{"resume mail --dry-run", "mail is paused; it would go on", 0, 3, 2, 3},
		{"resume mail", "mail is not paused\n", 0, 3, 2, 3},
		{"retry mail --dry-run", "mail: 3 jobs would be retried", 0, 3, 2, 3},
		{"retry mail 1 4 x", `not retried: "4", "x": no such job of queue mail, or in another state`, 65, 4, 2, 2},
		{"clean mail --state failed --older-than 30m --dry-run", "mail: 2 jobs would be removed", 0, 4, 2, 2},
		{"clean mail --state failed --older-than 90m", "mail: 1 job removed", 0, 4, 2, 1},
		{"retry mail --json", `"jobs": 1`, 0, 5, 2, 0},
		{"promote mail L1 --dry-run", "mail: 1 job would be promoted", 0, 5, 2, 0},
		{"promote mail L1", "mail: 1 job promoted", 0, 6, 1, 0},
		{"remove mail 4 4 --dry-run", "mail: 1 job would be removed", 0, 6, 1, 0},
		{"remove mail 4 4", "mail: 1 job removed", 0, 5, 1, 0},
		{"remove mail 4 5 --json", `"passedOver": [` + "\n    \"4\"\n  ]", 65, 4, 1, 0},
		{"drain mail --limit 1", "mail: 1 job removed", 0, 3, 1, 0},
		{"drain mail --dry-run --delayed", "mail: 4 jobs would be removed", 0, 3, 1, 0},
		{"drain mail --delayed", "mail: 4 jobs removed", 0, 0, 0, 0},
		{"drain mail", "mail: 0 jobs removed", 0, 0, 0, 0},
	} {
		r.want(step.code, "queues "+step.line, step.prints)
		got := r.counts("mail")
		if got["wait"] != step.wait || got["delayed"] != step.delayed || got["failed"] != step.failed {
			t.Fatalf("after %q there are %v, want %d waiting, %d delayed, %d failed", step.line, got, step.wait, step.delayed, step.failed)
		}
	}
}

func TestQueuesShowLimitsAndPauses(t *testing.T) {
	t.Parallel()
	r := newAtRedis(t)
	if err := r.server.Client().HSet(t.Context(), "bull:mail:meta", "concurrency", 4, "max", 10, "duration", 60_000).Err(); err != nil {
		t.Fatal(err)
	}
	r.want(cli.ExitOK, "queues mail", "4 at a time, 10 in 1m0s", " runs ")
	r.want(cli.ExitOK, "queues pause mail")
	r.want(cli.ExitOK, "queues mail", " paused ")
	r.want(cli.ExitOK, "queues mail --json", `"concurrency": 4`, `"rateMax": 10`, `"ratePerMs": 60000`, `"oldestWaiting": null`)
}

func TestAnInterruptEndsADrainAfterAStep(t *testing.T) {
	t.Parallel()
	r := newAtRedis(t)
	const jobs = 5000
	client, ctx := r.server.Client(), t.Context()
	for i := range jobs {
		client.HSet(ctx, "bull:mail:j"+strconv.Itoa(i), "name", "x", "data", "1", "opts", "{}", "timestamp", "1")
		client.RPush(ctx, "bull:mail:wait", "j"+strconv.Itoa(i))
	}
	signals := make(chan os.Signal, 1)
	i := r.invocation("queues", "drain", "mail")
	// The second look at the clock is in the midst of it.
	i.Signals, i.Terminal = signals, true
	looks := 0
	i.Now = func() time.Time {
		if looks++; looks == 2 {
			signals <- os.Interrupt
			redistest.Pass(100 * time.Millisecond)
		}
		return now.Add(time.Duration(looks) * time.Minute)
	}
	got := run(t, i)
	if got.code != cli.ExitAbandoned {
		t.Fatalf("exit code %d, want 75; it printed\n%s%s", got.code, got.stdout, got.stderr)
	}
	gone := jobs - r.counts("mail")["wait"]
	if want := "mail: " + strconv.Itoa(gone) + " jobs removed until then\n"; gone == 0 || gone == jobs || !strings.Contains(got.stderr, want) {
		t.Errorf("%d of %d jobs are gone, and it says\n%s", gone, jobs, got.stderr)
	}
	if !strings.Contains(got.stderr, "jobs removed so far") {
		t.Errorf("no progress is told:\n%s", got.stderr)
	}
}

func TestMistakesAboutQueues(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		code int
		text string
	}{
		"queues a:b":                           {cli.ExitBadData, "queue name"},
		"queues pause a:b":                     {cli.ExitBadData, "queue name"},
		"queues jobs a:b":                      {cli.ExitBadData, "queue name"},
		"queues job a:b 1":                     {cli.ExitBadData, "queue name"},
		"queues pause":                         {cli.ExitUsage, "QUEUE is missing"},
		"queues pause a b":                     {cli.ExitUsage, "unexpected argument"},
		"queues retry":                         {cli.ExitUsage, "QUEUE is missing"},
		"queues remove mail":                   {cli.ExitUsage, "ID is missing"},
		"queues jobs":                          {cli.ExitUsage, "QUEUE is missing"},
		"queues jobs mail --state lost":        {cli.ExitUsage, "want one of wait, prioritized"},
		"queues jobs mail --limit 0":           {cli.ExitUsage, "want 1 to 10000"},
		"queues jobs mail --offset -1":         {cli.ExitUsage, "want 0 or more"},
		"queues job mail":                      {cli.ExitUsage, "QUEUE and ID are needed"},
		"queues job mail 1 2":                  {cli.ExitUsage, "unexpected argument"},
		"queues clean mail":                    {cli.ExitUsage, "--state is needed"},
		"queues clean mail --state active":     {cli.ExitUsage, "want one of"},
		"queues drain mail --limit 0":          {cli.ExitUsage, "want 1 or more"},
		"queues drain mail --older-than 1d":    {cli.ExitUsage, "unknown flag"},
		"queues clean m --older-than 5":        {cli.ExitUsage, "want a duration"},
		"queues mail":                          {cli.ExitUnavailable, "no running worker"},
		"queues jobs mail --state wait --json": {cli.ExitUnavailable, "no running worker"},
	} {
		got := run(t, args(strings.Fields(line)...))
		if got.code != want.code || !strings.Contains(got.stderr, want.text) || got.stdout != "" {
			t.Errorf("worker %s: exit code %d, want %d and %q; it printed %q and\n%s", line, got.code, want.code, want.text, got.stdout, got.stderr)
		}
	}
	off := args("queues", "mail")
	off.Environ = environ("WORKER_QUEUE_ENABLED=false")
	if got := run(t, off); got.code != cli.ExitBadData || !strings.Contains(got.stderr, "queueing is off") {
		t.Errorf("without queues: exit code %d, %q", got.code, got.stderr)
	}
}
