package e2e_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/test/redistest"
)

func TestRunShowsBannerJobsAndHeartbeats(t *testing.T) {
	t.Parallel()
	h := newHost(t, beating("* * * * * *", "TZ=Europe/Berlin")...)
	r := h.start(t, workerBin, "run", "--log", "text")
	r.waitFor(t, "Worker heartbeat processed at ")
	r.signal(t, os.Interrupt)
	r.exit(t, 0)
	output := r.stderr.String()
	for _, text := range []string{
		"Takt worker e2e", "namespace  default", "memory: jobs end with this process", "scope host",
		"Europe/Berlin (from environment (TZ))", "worker.heartbeat.scheduler        * * * * * * Europe/Berlin",
		"worker.startup.scheduler          manual", "scheduled job registered", "Worker startup event processed at ",
	} {
		if !strings.Contains(output, text) {
			t.Errorf("no %q in the output", text)
		}
	}
	if got := r.stdout.String(); got != "" {
		t.Errorf("stdout = %q, want none: the log goes to stderr", got)
	}
}

func TestTheLogIsJSONAwayFromATerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := h.start(t, workerBin, "run")
	r.ready(t)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
	for line := range strings.Lines(r.stderr.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("line %q: %v", line, err)
		}
		if record["msg"] == ready {
			t.Logf("ready after %v ms", record["duration_ms"])
			if _, ok := record["duration_ms"].(float64); !ok {
				t.Errorf("the ready line has no duration_ms: %s", line)
			}
		}
	}
}

func TestInterruptDrainsAndExitsZero(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			r := h.start(t, slowBin, "run")
			r.ready(t)
			h.ask(t, slowBin, "enqueue", "slow", "slow.quick").want(t, 0)
			r.waitFor(t, "slow job done")
			r.signal(t, s)
			r.exit(t, 0)
			r.waitFor(t, "worker stopped")
			if left := sockets(t, h); len(left) > 0 {
				t.Errorf("left in the state directory: %q", left)
			}
		})
	}
}

// sockets lists the files below the state directory.
func sockets(t *testing.T, h *host) []string {
	t.Helper()
	found, err := filepath.Glob(h.state + "/*/*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestASecondInterruptExitsAtOnce(t *testing.T) {
	t.Parallel()
	for _, job := range []string{"slow.wait", "slow.hang"} {
		t.Run(job, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "WORKER_SHUTDOWN_TIMEOUT=10m")
			r := h.start(t, slowBin, "run")
			r.ready(t)
			h.ask(t, slowBin, "enqueue", "slow", job).want(t, 0)
			r.waitFor(t, "slow job began")
			r.signal(t, os.Interrupt)
			r.waitFor(t, "worker stopping")
			// Another signal, for the same one again at once may be an echo.
			r.signal(t, syscall.SIGTERM)
			r.exit(t, 75)
			r.waitFor(t, "1 job of queue slow lost with the memory")
		})
	}
}

func TestAThirdInterruptWaitsForNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_SHUTDOWN_TIMEOUT=10m", "SLOW_STOP=1")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	r.signal(t, syscall.SIGTERM)
	r.waitFor(t, "slow stop")
	r.signal(t, os.Interrupt)
	r.waitFor(t, "worker hurried")
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 75)
	r.waitFor(t, "worker: stopped at once")
}

func TestAStopThatRunsOutOfTimeExits75(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_SHUTDOWN_TIMEOUT=1s")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "enqueue", "slow", "slow.hang").want(t, 0)
	r.waitFor(t, "slow job began")
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 75)
	r.waitFor(t, "lost with the memory (1 of them cut off)")
}

func TestSigtermDuringStartStops(t *testing.T) {
	t.Parallel()
	for variable, sign := range map[string]string{"SLOW_BUILD": "slow build", "SLOW_START": "slow start"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, variable+"=1")
			r := h.start(t, slowBin, "run")
			r.waitFor(t, sign)
			r.signal(t, syscall.SIGTERM)
			r.exit(t, 0)
			if left := sockets(t, h); len(left) > 0 {
				t.Errorf("left in the state directory: %q", left)
			}
		})
	}
	t.Run("whenever it comes", func(t *testing.T) {
		t.Parallel()
		h := newHost(t)
		for range 10 {
			r := h.start(t, workerBin, "run", "--log", "text")
			r.waitFor(t, "Takt worker")
			r.signal(t, syscall.SIGTERM)
			<-r.done
			if code := r.cmd.ProcessState.ExitCode(); code != 0 && code != 75 {
				t.Fatalf("exit code = %d (%s), want 0, or 75 with jobs dropped", code, r.cmd.ProcessState)
			}
		}
	})
}

func TestAStartThatTakesTooLongExits69(t *testing.T) {
	t.Parallel()
	h := newHost(t, "SLOW_START=1", "WORKER_START_TIMEOUT=1s")
	r := h.start(t, slowBin, "run")
	r.exit(t, 69)
	r.waitFor(t, "WORKER_START_TIMEOUT")
	if left := sockets(t, h); len(left) > 0 {
		t.Errorf("left in the state directory: %q", left)
	}
}

func TestTheWorkerOutlivesTheReaderOfItsLog(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cmd := h.command(t, slowBin, "run")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := io.ReadAtLeast(log, make([]byte, 1<<16), 1); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	h.askUntil(t, "ok: ", slowBin, "health", "ready")
	for range 20 { // each run writes lines that nobody reads
		h.ask(t, slowBin, "jobs", "trigger", "slow.ran").want(t, 0, "completed")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Wait() = %v, want exit code 0", err)
	}
}

func TestBadConfigurationExits78AndStartsNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_TIMEZONE=Europe/Berlni", "WORKER_CONCURRENCY=ten", "WORKER_JOB_RETRY_DELAY=5",
		"WORKER_HEARTBEAT_CRON=61 * * * *", "WORKER_QUEUE_ENABLED=false", "WORKER_QUEUE_BACKEND=memory", "REDIS_ENABLED=maybe")
	golden, err := os.ReadFile("testdata/bad_configuration.golden")
	if err != nil {
		t.Fatal(err)
	}
	report := string(golden)
	for _, args := range [][]string{{"run"}, {"config"}, {"jobs"}} {
		got := h.ask(t, workerBin, args...)
		if got.code != 78 {
			t.Errorf("worker %s: exit code = %d, want 78", args, got.code)
		}
		if args[0] != "run" {
			report = strings.ReplaceAll(string(golden), "; nothing was started", "")
		}
		if diff := cmp.Diff(report, got.stderr); diff != "" {
			t.Errorf("worker %s (-want +got):\n%s", args, diff)
		}
	}
	// A probe asks the worker that runs, whatever its files say by now.
	h.ask(t, workerBin, "health").want(t, 69, "no running worker")
	if _, err := os.Stat(h.state); !os.IsNotExist(err) {
		t.Errorf("the state directory is there: %v", err)
	}
}

func TestTheMinimalDotenvOfTheReferenceRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t, "WORKER_HEARTBEAT_ENABLED=true")
	dotenv, err := os.ReadFile("../../app/config/testdata/reference.env")
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	text := strings.Replace(string(dotenv), "REDIS_PORT=6379", "REDIS_PORT="+strconv.Itoa(server.Port), 1)
	write(t, filepath.Join(h.dir, ".env"), text, 0o600)
	r := h.start(t, workerBin, "run")
	r.ready(t)
	r.waitFor(t, `"backend":"redis"`)
	h.ask(t, workerBin, "jobs").want(t, 0, "worker-default/worker.heartbeat")
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}

func TestMakeRunLogsAtDebugUnlessTold(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, mode := range map[string]os.FileMode{"Makefile": 0o600, ".ci/foreground": 0o700} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(h.dir, name), string(text), mode)
	}
	write(t, filepath.Join(h.dir, "bin/worker"), "#!/bin/sh\necho \"$1 at $LOG_LEVEL\"\n", 0o700)
	h.ask(t, "make", "-o", "build", "run").want(t, 0, "run at debug")
	h.env = append(h.env, "LOG_LEVEL=warn")
	h.ask(t, "make", "-o", "build", "run").want(t, 0, "run at warn")
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
