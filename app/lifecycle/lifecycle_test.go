package lifecycle_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
)

// configured loads a configuration as the binary does.
func configured(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	loaded, report := config.Load(config.Source{Environ: append(environ, "HOME=/dev/null"), PID: 7})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return loaded
}

// start starts a worker with the feature, configured by the environment.
func start(t *testing.T, at time.Time, environ ...string) *takttest.Worker {
	t.Helper()
	c := configured(t, environ...)
	return takttest.StartWith(t, takttest.Config{Settings: app.SettingsFrom(c), At: at}, app.Supply(c), lifecycle.Module())
}

var noon = time.Date(2026, 11, 23, 12, 0, 5, 250_000_000, time.UTC)

func TestStartupIsAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, noon)
		w.Advance(10 * time.Minute)
		w.WantRuns("worker.startup.scheduler", domain.EventFired, 1)
		w.WantCompleted("worker-default", "worker.startup", 1)
	})
}

// completed returns the completed jobs of the name, oldest first.
func completed(w *takttest.Worker, name string) []domain.JobView {
	var found []domain.JobView
	for _, job := range slices.Backward(w.Jobs("worker-default", domain.StateCompleted)) {
		if job.Job.Name == name {
			found = append(found, job)
		}
	}
	return found
}

func TestThePayloadIsAnISOTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, noon)
		w.Advance(time.Minute)
		for name, want := range map[string]string{
			"worker.startup":   `{"timestamp":"2026-11-23T12:00:05.250Z"}`,
			"worker.heartbeat": `{"timestamp":"2026-11-23T12:00:30.000Z"}`,
		} {
			if got := string(completed(w, name)[0].Job.Data); got != want {
				t.Errorf("payload of %s = %s, want %s", name, got, want)
			}
		}
	})
}

func TestTheHeartbeatNamesItsReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, noon)
		w.Advance(time.Minute)
		for _, name := range []string{"worker.startup", "worker.heartbeat"} {
			if got, want := string(completed(w, name)[0].Result), `{"replica":"test"}`; got != want {
				t.Errorf("result of %s = %s, want %s", name, got, want)
			}
		}
	})
}

func TestHeartbeatEveryThirtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, noon)
		w.Advance(5 * time.Minute)
		w.WantRuns("worker.heartbeat.scheduler", domain.EventFired, 10)
		w.WantCompleted("worker-default", "worker.heartbeat", 10)
		for i, record := range w.Records("worker.heartbeat.scheduler") {
			if second := record.Run.Planned().Second(); second != 0 && second != 30 {
				t.Errorf("record %d is of a tick at second %d, want 0 or 30", i, second)
			}
		}
	})
}

// lines is a log of messages.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func TestHandlersLogTheLinesOfTheReference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(noon))
		var log lines
		c := configured(t)
		settings := app.SettingsFrom(c)
		// A database lives in real time.
		settings.Storage = app.Settings{}.Storage
		settings.StateDir, settings.Replica = "", "here"
		settings.Storage = storage.Config{} // it knows nothing of the bubble's time
		handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		worker, err := app.New(settings, slog.New(handler), app.Supply(c), lifecycle.Module())
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		worker.Stop(t.Context())
		var got []string
		for line := range strings.Lines(log.text.String()) {
			if strings.Contains(line, "orker") && !strings.Contains(line, "job=") && !strings.Contains(line, "worker ready") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		want := []string{
			`level=INFO msg="Queueing worker startup job."`,
			`level=INFO msg="Worker startup event processed at 2026-11-23T12:00:05.250Z" replica=here`,
			`level=INFO msg="Queueing worker heartbeat job..."`,
			`level=INFO msg="Worker heartbeat processed at 2026-11-23T12:00:30.000Z" replica=here`,
			`level=INFO msg="Queueing worker heartbeat job..."`,
			`level=INFO msg="Worker heartbeat processed at 2026-11-23T12:01:00.000Z" replica=here`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// described is what a listing says about a job that matters here.
type described struct {
	ID, Schedule, Cron, Target, Queue, Job string
	Enabled, OnStart                       bool
}

func TestConditions(t *testing.T) {
	heartbeat := described{"worker.heartbeat.scheduler", "cron", "*/30 * * * * *", "queue", "worker-default", "worker.heartbeat", true, false}
	startup := described{"worker.startup.scheduler", "manual", "", "queue", "worker-default", "worker.startup", true, true}
	with := func(job described, change func(*described)) described {
		change(&job)
		return job
	}
	off := func(job described) described { return with(job, func(d *described) { d.Enabled = false }) }
	inline := func(job described) described {
		return with(off(job), func(d *described) { d.Target, d.Queue, d.Job = "inline", "", "" })
	}
	for name, c := range map[string]struct {
		environ []string
		want    []described
	}{
		"as it is":        {nil, []described{heartbeat, startup}},
		"heartbeat off":   {[]string{"WORKER_HEARTBEAT_ENABLED=false"}, []described{off(heartbeat), startup}},
		"heartbeat cron":  {[]string{"WORKER_HEARTBEAT_CRON=0 * * * * *"}, []described{with(heartbeat, func(d *described) { d.Cron = "0 * * * * *" }), startup}},
		"queueing off":    {[]string{"WORKER_QUEUE_ENABLED=false"}, []described{inline(heartbeat), inline(startup)}},
		"strict":          {[]string{"WORKER_QUEUE_ENABLED=false", "WORKER_STRICT_QUEUES=true"}, []described{inline(heartbeat), inline(startup)}},
		"scheduler off":   {[]string{"WORKER_SCHEDULER_ENABLED=false"}, []described{off(heartbeat), off(startup)}},
		"another default": {[]string{"WORKER_DEFAULT_QUEUE=main"}, []described{with(heartbeat, func(d *described) { d.Queue = "main" }), with(startup, func(d *described) { d.Queue = "main" })}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, time.Time{}, c.environ...)
				w.Advance(time.Minute)
				var got []described
				handled := false
				for _, job := range w.Service().ListJobs() {
					got = append(got, described{
						job.ID, job.ScheduleType, job.Cron, job.ExecutionTarget, job.QueueName, job.QueueJobName, job.Enabled, job.RunOnStart,
					})
					handled = handled || job.LastOutcome != ""
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("jobs (-want +got):\n%s", diff)
				}
				if want := c.want[1].Enabled; handled != want {
					t.Errorf("a job ran: %t, want %t", handled, want)
				}
			})
		})
	}
}

func TestTheFeatureUsesNothingThatAUserCouldNot(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "lifecycle.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range file.Imports {
		path := strings.Trim(imported.Path.Value, `"`)
		public := !strings.Contains(path, ".") || strings.Contains(path, "/takt/app") || strings.HasSuffix(path, "/takt/core/domain")
		if !public || strings.Contains(path, "internal") {
			t.Errorf("lifecycle.go imports %s", path)
		}
	}
}
