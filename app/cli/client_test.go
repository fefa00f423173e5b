package cli_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/cli"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// served answers on the control sockets of the instances, and returns the
// environment to find them.
func served(t *testing.T, handlers map[string]control.Handler, instances ...string) []string {
	t.Helper()
	// Not t.TempDir: the path of a socket is short.
	dir, err := os.MkdirTemp("/tmp", "takt") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, name := range instances {
		server, err := control.Listen(control.Config{
			StateDir: dir, Namespace: "default", Instance: name, Logger: slog.New(slog.DiscardHandler), Handlers: handlers,
		})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- server.Serve(context.Background()) }()
		t.Cleanup(func() {
			_ = server.Close(context.Background())
			<-done //nolint:errcheck // Serve returns when it was closed
		})
	}
	return []string{"WORKER_STATE_DIR=" + dir, "WORKER_DATA_DIR=/nonexistent/data"}
}

// answers are handlers that give fixed answers.
func answers() map[string]control.Handler {
	always := func(reply any) control.Handler {
		return func(context.Context, json.RawMessage) (any, error) { return reply, nil }
	}
	return map[string]control.Handler{
		app.MethodHealth:  always(app.HealthReply{State: "running", Problems: []string{}}),
		app.MethodJobs:    always([]app.JobInfo{}),
		app.MethodTrigger: always(app.TriggerReply{Outcome: "completed", Attempts: 1}),
		app.MethodPause:   always(app.SwitchReply{Name: "x", Paused: true}),
		app.MethodResume:  always(app.SwitchReply{Name: "x"}),
		app.MethodEnqueue: always(app.EnqueueReply{Results: []app.EnqueueAnswer{{ID: "1", Status: "accepted"}}}),
	}
}

var clientCommands = [][]string{{"health"}, {"jobs"}, {"jobs", "trigger", "x"}, {"jobs", "pause", "x"}, {"jobs", "resume", "x"}, {"enqueue", "mail", "welcome"}}

func TestTheInstanceToAskDefaultsToTheOneThatIsSet(t *testing.T) {
	t.Parallel()
	env := served(t, answers(), "blue", "green")
	for _, words := range clientCommands {
		i := args(words...)
		i.Environ = append([]string{"WORKER_INSTANCE=green"}, env...)
		if got := run(t, i); got.code != cli.ExitOK {
			t.Errorf("%s with WORKER_INSTANCE: exit code %d, stderr %q, want 0", words, got.code, got.stderr)
		}
		i.Environ = append([]string{"WORKER_INSTANCE=red"}, env...)
		got := run(t, i)
		if words[0] != "jobs" || len(words) > 1 {
			if got.code != cli.ExitUnavailable || !strings.Contains(got.stderr, "only blue, green") {
				t.Errorf("%s with another WORKER_INSTANCE: exit code %d, stderr %q, want 69", words, got.code, got.stderr)
			}
		}
		i.Args = append(i.Args, "--instance", "blue")
		if got := run(t, i); got.code != cli.ExitOK {
			t.Errorf("%s --instance: exit code %d, stderr %q, want 0", words, got.code, got.stderr)
		}
	}
}

func TestARunningWorkerIsAskedWhateverElseIsMisconfigured(t *testing.T) {
	t.Parallel()
	env := append(served(t, answers(), "blue"), "WORKER_CONCURRENCY=0", "LOG_LEVEL=loud")
	for _, words := range clientCommands {
		i := args(words...)
		i.Environ = env
		got := run(t, i)
		if got.code != cli.ExitOK {
			t.Errorf("%s: exit code %d, stderr %q, want 0", words, got.code, got.stderr)
		}
		if warned := strings.Count(got.stderr, "(warning)\n"); warned != 2 && words[0] != "health" || words[0] == "health" && got.stderr != "" {
			t.Errorf("%s: stderr %q, want both mistakes as warnings, and for health nothing", words, got.stderr)
		}
		i.Environ = append([]string{"WORKER_NAMESPACE=Bad"}, env...)
		if got := run(t, i); got.code != cli.ExitConfig || !strings.Contains(got.stderr, "worker: 1 mistake\n") {
			t.Errorf("%s with a bad namespace: exit code %d, stderr %q, want 78 and that mistake alone", words, got.code, got.stderr)
		}
	}
}

func TestThePlanOfAnExpressionNeedsTheZoneAlone(t *testing.T) {
	t.Parallel()
	i := args("plan", "--cron", "0 9 * * *", "--count", "1")
	i.Environ = environ("WORKER_CONCURRENCY=0")
	if got := run(t, i); got.code != cli.ExitOK || !strings.Contains(got.stderr, "WORKER_CONCURRENCY") {
		t.Errorf("exit code %d, stderr %q, want 0 and a warning", got.code, got.stderr)
	}
	i.Environ = environ("WORKER_TIMEZONE=Nowhere")
	if got := run(t, i); got.code != cli.ExitConfig || strings.Contains(got.stderr, "nothing was started") {
		t.Errorf("exit code %d, stderr %q, want 78", got.code, got.stderr)
	}
}

func TestEnqueueNotesAQueueThatTheWorkerDoesNotKnow(t *testing.T) {
	t.Parallel()
	const note = "queue mail has no handler in this worker; it has: reports"
	handlers := map[string]control.Handler{app.MethodEnqueue: func(context.Context, json.RawMessage) (any, error) {
		return app.EnqueueReply{Results: []app.EnqueueAnswer{{ID: "1", Status: "accepted", Note: note}}}, nil
	}}
	i := args("enqueue", "mail", "welcome")
	i.Environ = served(t, handlers, "blue")
	if got := run(t, i); got.code != cli.ExitOK || got.stderr != "note: "+note+"\n" {
		t.Errorf("enqueue: exit code %d, stderr %q, want 0 and the note", got.code, got.stderr)
	}
	i.Args = append(i.Args, "--json")
	if got := run(t, i); got.code != cli.ExitOK || !strings.Contains(got.stdout, `"note": "`+note) {
		t.Errorf("enqueue --json: exit code %d, stdout %q, want 0 and the note", got.code, got.stdout)
	}
}

func TestAStartThatCannotPlaceItsSocketBlamesTheSetting(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	taken := served(t, answers(), "blue")
	for _, c := range []struct {
		environ []string
		code    int
		want    string
	}{
		{[]string{"WORKER_STATE_DIR=" + open}, cli.ExitConfig, "worker: config: WORKER_STATE_DIR: " + open + " has mode 0755, want 0700"},
		{append(taken, "WORKER_INSTANCE=blue"), cli.ExitUnavailable, `worker: config: WORKER_INSTANCE: instance "blue" in namespace "default"`},
	} {
		i := args("run", "--log", "json")
		i.Environ = append(c.environ, "WORKER_DATA_DIR="+t.TempDir())
		got := run(t, i)
		if got.code != c.code || !strings.Contains(got.stderr, c.want) || !strings.Contains(got.stderr, "set in environment") || strings.Contains(got.stderr, "hook") {
			t.Errorf("%s: exit code %d, stderr %q, want %d and %q", c.environ, got.code, got.stderr, c.code, c.want)
		}
	}
}

func TestAnInterruptedTriggerSaysThatTheRunGoesOn(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	handlers := map[string]control.Handler{app.MethodTrigger: func(ctx context.Context, _ json.RawMessage) (any, error) {
		signals <- os.Interrupt
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	i := args("jobs", "trigger", "x")
	i.Environ, i.Signals = served(t, handlers, "blue"), signals
	if got := run(t, i); got.code != cli.ExitAbandoned || !strings.Contains(got.stderr, "interrupted; the run of x goes on") {
		t.Errorf("exit code %d, stderr %q, want 75 and that the run goes on", got.code, got.stderr)
	}
}

func TestAPlanWithTheSchedulerOffSaysSo(t *testing.T) {
	t.Parallel()
	i := args("plan")
	i.Environ = environ("WORKER_SCHEDULER_ENABLED=false")
	if got := run(t, i); got.code != cli.ExitOK || !strings.Contains(got.stderr, "the scheduler is off (WORKER_SCHEDULER_ENABLED)") {
		t.Errorf("exit code %d, stderr %q, want 0 and why nothing fires", got.code, got.stderr)
	}
}

func TestWhatIsLostWithTheMemoryIsCountedOnce(t *testing.T) {
	t.Parallel()
	for want, report := range map[string]app.StopReport{
		"1 job of queue billing lost with the memory (1 of them cut off)": {
			StopReport: runner.StopReport{Jobs: 1}, Dropped: map[domain.QueueName]int{"billing": 1},
		},
		"2 jobs given back": {StopReport: runner.StopReport{Jobs: 2}},
	} {
		if got := cli.DescribeLeft(&report); got != want {
			t.Errorf("left = %q, want %q", got, want)
		}
	}
}

func TestMessagesBearTheProgramsOwnName(t *testing.T) {
	t.Parallel()
	i := args("health")
	i.Name = "shop"
	if got := run(t, i); !strings.HasPrefix(got.stderr, "shop: ") || !strings.Contains(got.stderr, `start one with "shop run"`) {
		t.Errorf("stderr %q, want it in the name of shop", got.stderr)
	}
	i.Args = []string{"health", "--help"}
	if got := run(t, i); !strings.Contains(got.stdout, "shop health live") || strings.Contains(got.stdout, "  worker health") {
		t.Errorf("help %q, want it in the name of shop", got.stdout)
	}
}
