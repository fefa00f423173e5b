package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestVersionIsThatOfTheBuild(t *testing.T) {
	t.Parallel()
	newHost(t).ask(t, workerBin, "version").want(t, 0, "e2e")
}

func TestTriggerTellsWhatHappened(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.ask(t, slowBin, "jobs", "trigger", "slow.ran").want(t, 69, "no running worker", "worker run")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "jobs", "trigger", "slow.ran").want(t, 0, "slow.ran completed; 1 attempt")
	h.ask(t, slowBin, "jobs", "trigger", "slow.skipped").want(t, 0, "slow.skipped skipped", "nothing to do")
	h.ask(t, slowBin, "jobs", "trigger", "slow.queued").want(t, 0, "slow.queued fired, queued as job")
	r.waitFor(t, "slow job done")
	h.ask(t, slowBin, "jobs", "trigger", "slow.failed").want(t, 70, "slow.failed failed: no such table")
	h.ask(t, slowBin, "jobs", "trigger", "slow.rann").want(t, 65, `unknown scheduled job "slow.rann"`, "slow.ran")
	h.ask(t, slowBin, "jobs", "trigger", "slow.disabled").want(t, 65, `"slow.disabled"`, "enabled are: slow.failed, slow.queued, slow.ran")
	h.ask(t, slowBin, "jobs").want(t, 0, "completed", "disabled")
	h.ask(t, slowBin, "jobs", "list", "--json").want(t, 0, `"running": false`, `"lastOutcome": "completed"`)
}

func TestTriggerWithTheSchedulerOffSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_SCHEDULER_ENABLED=false")
	r := h.start(t, slowBin, "run")
	r.waitFor(t, ready)
	h.ask(t, slowBin, "jobs", "trigger", "slow.ran").want(t, 65, "the scheduler is off")
}

func TestEnqueueReachesTheQueueInMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick").want(t, 69, "no running worker")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "first", "--data", `{"a":1}`,
		"--attempts", "3", "--backoff", "exponential:1s", "--priority", "2").want(t, 0, "slow/slow.quick: accepted, id first")
	r.waitFor(t, `"job_id":"first"`)
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "first").want(t, 0, "duplicate id")
	h.ask(t, slowBin, "enqueue", "elsewhere", "any.thing", "--delay", "1d", "--json").want(t, 0, `"status": "accepted"`)

	lines := strings.Repeat("{\"queue\":\"slow\",\"name\":\"slow.quick\"}\n", 250) + "{\"queue\":\"slow\",\"name\":\"slow.quick\",\"id\":\"last\"}\n"
	got := h.askWith(t, lines, slowBin, "enqueue", "-")
	got.want(t, 0, "id last")
	if accepted := strings.Count(got.stdout, "accepted"); accepted != 251 {
		t.Errorf("%d jobs accepted, want 251", accepted)
	}
	r.waitFor(t, `"job_id":"last"`)

	wrong := "{\"queue\":\"slow\",\"name\":\"slow.quick\",\"id\":\"never\"}\n\n{\"queue\":\"slow\"}\nnonsense\n"
	got = h.askWith(t, wrong, slowBin, "enqueue", "-")
	got.want(t, 65, "stdin line 3: ", "stdin line 4: not one JSON value", "nothing was enqueued")
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "never").want(t, 0, "accepted")
}

func TestEnqueueWithoutQueuesSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_QUEUE_ENABLED=false")
	h.ask(t, workerBin, "enqueue", "slow", "slow.quick").want(t, 65, "queueing is off", "none", "environment (WORKER_QUEUE_ENABLED)")
}

func TestTwoWorkersOnOneHostAreToldApart(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_LEDGER=memory") // each has its own run on start
	blue, green := *h, *h
	blue.env = append(slices.Clip(blue.env), "WORKER_INSTANCE=blue")
	green.env = append(slices.Clip(green.env), "WORKER_INSTANCE=green")
	first, second := blue.start(t, slowBin, "run"), green.start(t, slowBin, "run")
	first.ready(t)
	second.ready(t)
	for _, args := range [][]string{{"health"}, {"enqueue", "slow", "slow.quick"}, {"jobs"}} {
		h.ask(t, slowBin, args...).want(t, 64, "several workers are running: blue, green", "--instance")
	}
	h.ask(t, slowBin, "jobs", "trigger", "slow.ran").want(t, 0, "completed")
	h.ask(t, slowBin, "health", "--instance", "green").want(t, 0, "-green-")
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick", "--id", "for-green", "--instance", "green").want(t, 0)
	second.waitFor(t, "for-green")
	h.ask(t, slowBin, "health", "--instance", "red").want(t, 69, "red", "blue, green")

	twin := blue.start(t, slowBin, "run")
	twin.exit(t, 69)
	twin.waitFor(t, "a worker of this name is running")
	second.signal(t, syscall.SIGTERM)
	second.exit(t, 0)
	h.ask(t, slowBin, "health").want(t, 0, "-blue-")
}

func TestHealthFollowsTheLifeOfTheWorker(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_SHUTDOWN_TIMEOUT=10m")
	h.ask(t, slowBin, "health").want(t, 69, "no running worker")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	for _, check := range []string{"live", "ready", "startup"} {
		h.ask(t, slowBin, "health", check).want(t, 0, "ok: running")
	}
	h.ask(t, slowBin, "enqueue", "slow", "slow.wait").want(t, 0)
	r.waitFor(t, "slow job began")
	r.signal(t, syscall.SIGTERM)
	r.waitFor(t, "worker stopping")
	h.askUntil(t, "draining", slowBin, "health", "live").want(t, 0, "ok: draining")
	h.ask(t, slowBin, "health", "startup").want(t, 0, "ok: draining")
	h.ask(t, slowBin, "health").want(t, 69, "not ready: draining")
	h.ask(t, slowBin, "health", "--json").want(t, 69, `"state": "draining"`, `"ok": false`)
	h.ask(t, slowBin, "jobs", "trigger", "slow.ran").want(t, 69, "stopping")
	r.signal(t, os.Interrupt)
	r.exit(t, 75)
	h.ask(t, slowBin, "health").want(t, 69, "no running worker")
}

// askUntil repeats a question until the answer holds the text: a worker says
// that it stops just before it does.
func (h *host) askUntil(t *testing.T, text, binary string, args ...string) answer {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if got := h.ask(t, binary, args...); strings.Contains(got.stdout, text) {
			return got
		}
	}
	t.Fatalf("%s never says %q", args, text)
	return answer{}
}

func TestHealthDuringTheStart(t *testing.T) {
	t.Parallel()
	h := newHost(t, "SLOW_START=1")
	r := h.start(t, slowBin, "run")
	r.waitFor(t, "slow start")
	h.ask(t, slowBin, "health", "startup").want(t, 69, "not startup")
	h.ask(t, slowBin, "health", "live").want(t, 0, "ok: ")
	h.ask(t, slowBin, "health").want(t, 69, "not ready")
}

func TestNoSecretIsEverPrinted(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	h := newHost(t, "LOG_LEVEL=debug", "REDIS_PASSWORD="+canary, "DB_TYPE=sqlite", "DB_PASS="+canary, "WORKER_API_TOKEN="+canary,
		"REDIS_URL=redis://user:"+canary+"@redis.example:6379/0")
	write(t, filepath.Join(h.dir, ".env"), "DB_URI=postgres://u:"+canary+"@db.example/x\nWORKER_TIMZONE=\""+canary+"\"\n", 0o600)
	write(t, filepath.Join(h.dir, ".env.local"), "WORKER_SECRET="+canary+"\n", 0o600)
	r := h.start(t, slowBin, "run")
	r.ready(t)
	var output strings.Builder
	for _, args := range [][]string{
		{"config"},
		{"config", "--json"},
		{"config", "--strict"},
		{"jobs"},
		{"jobs", "--json"},
		{"health", "--json"},
		{"plan"},
		{"version"},
		{"jobs", "trigger", "slow.queued"},
		{"enqueue", "slow", "slow.quick", "--data", `"` + canary + `"`},
		{"enqueue", "slow", "slow.wait", "--data", `"` + canary + `"`},
	} {
		got := h.ask(t, slowBin, args...)
		fmt.Fprintf(&output, "%s: %d\n%s%s", args[0], got.code, got.stdout, got.stderr)
	}
	r.waitFor(t, "slow job began")
	r.signal(t, syscall.SIGTERM)
	r.waitFor(t, "worker stopping")
	r.signal(t, os.Interrupt)
	r.exit(t, 75)
	h.env = append(h.env, "WORKER_CONCURRENCY=redis://:"+canary+"@example")
	for _, args := range [][]string{{"run"}, {"config"}, {"config", "--json"}} {
		got := h.ask(t, slowBin, args...)
		got.want(t, 78, "WORKER_CONCURRENCY")
		output.WriteString(got.stdout + got.stderr)
	}
	output.WriteString(r.stdout.String() + r.stderr.String())
	for line := range strings.Lines(output.String()) {
		if strings.Contains(line, canary) {
			t.Errorf("a secret is printed: %s", line)
		}
	}
	if strings.Count(output.String(), "***") == 0 {
		t.Error("no masked value is printed: the test looks at the wrong output")
	}
}

func TestJobsAreTheSameWithAndWithoutAWorker(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	names := func() (names []string) {
		var jobs []struct {
			ID      string `json:"id"`
			Running *bool  `json:"running"`
		}
		got := h.ask(t, slowBin, "jobs", "--json")
		if err := json.Unmarshal([]byte(got.stdout), &jobs); err != nil {
			t.Fatalf("%v in %q", err, got.stdout)
		}
		for _, job := range jobs {
			names = append(names, fmt.Sprint(job.ID, " known: ", job.Running != nil))
		}
		return names
	}
	before := strings.Join(names(), "\n")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	with := strings.Join(names(), "\n")
	if want := strings.ReplaceAll(before, "known: false", "known: true"); with != want {
		t.Errorf("with a worker:\n%s\nwant:\n%s", with, want)
	}
	if !strings.Contains(before, "slow.ran known: false") {
		t.Errorf("without a worker:\n%s\nwant slow.ran, of unknown state", before)
	}
}

func TestAReaderThatGoesAwayIsNoError(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_HEARTBEAT_ENABLED=true") // there is something to plan
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := h.command(t, workerBin, "plan", "--count", "5000")
	cmd.Stdout = write
	if err := cmd.Run(); err != nil {
		t.Errorf("Run() = %v, want exit code 0", err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return // only Linux has a device that is always full
	}
	cmd = h.command(t, workerBin, "plan")
	cmd.Stdout = full
	if _ = cmd.Run(); cmd.ProcessState.ExitCode() != 70 {
		t.Errorf("exit code with a full disk = %d, want 70", cmd.ProcessState.ExitCode())
	}
}
