package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"regexp"
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
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/app/tokens"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// logbook keeps log lines.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the lines with the text, from there on.
func (l *logbook) lines(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		if at := strings.Index(line, text); at >= 0 {
			found = append(found, strings.TrimSpace(line[at:]))
		}
	}
	return found
}

// environ is the environment that leads a worker to the platform's database.
func (p *platform) environ() []string {
	if p.config.Dialect == storage.Postgres {
		return []string{"DB_TYPE=postgres", "DB_URI=" + p.config.Postgres.URI.Reveal()}
	}
	return []string{"DB_TYPE=better-sqlite3", "DB_PATH=" + p.config.SQLite.Path}
}

func configured(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	loaded, report := config.Load(config.Source{Environ: append(environ, "HOME=/nonexistent"), PID: 7})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return loaded
}

// build builds a worker with the feature that keeps its own state in memory.
func build(t *testing.T, log *logbook, environ ...string) *app.App {
	t.Helper()
	c := configured(t, environ...)
	settings := app.SettingsFrom(c)
	settings.StateDir, settings.Storage, settings.Ledger = "", storage.Config{}, config.LedgerMemory
	worker, err := app.New(settings, slog.New(slog.NewTextHandler(log, nil)), app.Supply(c), tokens.Module())
	if err != nil {
		t.Fatal(err)
	}
	return worker
}

// start also starts it, until the test ends or the function is called.
func start(t *testing.T, log *logbook, environ ...string) (*app.App, func()) {
	t.Helper()
	worker := build(t, log, environ...)
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if report := worker.Stop(context.Background()); !report.Clean() {
			t.Errorf("Stop = %+v, want nothing left", report)
		}
	})
	t.Cleanup(stop)
	return worker, stop
}

// await waits until the condition holds; the test's own limit bounds it.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	for !condition() {
		<-time.After(5 * time.Millisecond)
	}
}

// finished returns the jobs of the feature's queue in the state, by name.
func finished(t *testing.T, worker *app.App, state domain.State) map[string]domain.JobView {
	t.Helper()
	queues, err := worker.Service().Queues()
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := queues.Jobs(t.Context(), tokens.Queue, domain.JobFilter{State: state, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]domain.JobView{}
	for _, job := range jobs {
		found[job.Job.Name] = job
	}
	return found
}

// seed adds tokens of which one is to expire and one to be revoked.
func (p *platform) seed(t *testing.T) {
	t.Helper()
	now := time.Now()
	p.insert(t, "past", "access_token", "ACTIVE", stamp(now.Add(-24*time.Hour)), nil)
	p.insert(t, "idle", "refresh_token", "ACTIVE", nil, stamp(now.Add(-31*day)))
	p.insert(t, "fresh", "refresh_token", "ACTIVE", stamp(now.Add(long)), stamp(now.Add(-29*day)))
	p.insert(t, "key", "api_key", "ACTIVE", nil, stamp(now.Add(-31*day)))
}

var seeded = map[string]string{"past": "EXPIRED", "idle": "REVOKED", "fresh": "ACTIVE", "key": "ACTIVE"}

const thresholds = "TOKEN_INACTIVITY_THRESHOLDS=refresh_token=30d,api_key=90d"

func (p *platform) wantSeedCleaned(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(seeded, p.statuses(t)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestTheCleanUpRunsOnStartThroughItsQueue(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		p.seed(t)
		var log logbook
		worker, _ := start(t, &log, append(p.environ(), thresholds)...)
		await(t, func() bool { return len(finished(t, worker, domain.StateCompleted)) == 2 })
		p.wantSeedCleaned(t)
		done := finished(t, worker, domain.StateCompleted)
		for name, want := range map[string]string{
			"token.cleanup.expired":  `{"expired":1}`,
			"token.cleanup.inactive": `{"revoked":1,"byType":{"api_key":0,"refresh_token":1}}`,
		} {
			if got := string(done[name].Result); got != want {
				t.Errorf("result of %s = %s, want %s", name, got, want)
			}
			payload := string(done[name].Job.Data)
			if !regexp.MustCompile(`^{"requestedAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"}$`).MatchString(payload) {
				t.Errorf("payload of %s = %s, want an ISO timestamp", name, payload)
			}
		}
		wantLines(t, &log)
	})
}

func wantLines(t *testing.T, log *logbook) {
	t.Helper()
	for text, want := range map[string][]string{
		`msg="tokens expired"`: {`msg="tokens expired" count=1`},
		`msg="inactive tokens revoked"`: {
			`msg="inactive tokens revoked" token_type=api_key count=0`, `msg="inactive tokens revoked" token_type=refresh_token count=1`,
		},
		`msg="all inactive tokens revoked"`: {`msg="all inactive tokens revoked" count=1`},
	} {
		if diff := cmp.Diff(want, log.lines(text)); diff != "" {
			t.Errorf("log lines (-want +got):\n%s", diff)
		}
	}
}

func TestWithoutQueuesTheCleanUpIsDoneInline(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		p.seed(t)
		var log logbook
		worker, _ := start(t, &log, append(p.environ(), thresholds, "WORKER_QUEUE_BACKEND=none", "WORKER_STRICT_QUEUES=true")...)
		await(t, func() bool { return len(log.lines(`msg="run completed"`)) == 2 })
		p.wantSeedCleaned(t)
		wantLines(t, &log)
		for _, job := range worker.Service().ListJobs() {
			if job.ExecutionTarget != "inline" || !job.Enabled {
				t.Errorf("%s is listed as enabled: %t, %s; want it enabled and inline", job.ID, job.Enabled, job.ExecutionTarget)
			}
		}
	})
}

func TestNamesSchedulesAndTargetsAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.SQLite)
	worker := build(t, &logbook{}, p.environ()...)
	type described struct {
		ID, Cron, Queue, Job string
		OnStart, Enabled     bool
	}
	var got []described
	for _, job := range worker.Service().ListJobs() {
		got = append(got, described{job.ID, job.Cron, job.QueueName, job.QueueJobName, job.RunOnStart, job.Enabled})
	}
	want := []described{
		{"token.cleanup.expired.schedule", "0 * * * *", "token-maintenance", "token.cleanup.expired", true, true},
		{"token.cleanup.inactive.scheduler", "0 */6 * * *", "token-maintenance", "token.cleanup.inactive", true, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, every := range map[string]time.Duration{"token.cleanup.expired.schedule": time.Hour, "token.cleanup.inactive.scheduler": 6 * time.Hour} {
		planned, err := worker.PlannedJobs(name)
		if err != nil {
			t.Fatal(err)
		}
		next := noon
		for tick := range planned[0].Ticks(noon) {
			if next = next.Add(every); !tick.At.Equal(next) {
				t.Errorf("%s ticks at %s, want %s", name, tick.At, next)
			}
			if next.Sub(noon) > day {
				break
			}
		}
	}
}

// wantOff wants that both jobs are listed as disabled and cannot be triggered,
// and that the log says why, once.
func wantOff(t *testing.T, worker *app.App, log *logbook, reason string) {
	t.Helper()
	for _, job := range worker.Service().ListJobs() {
		if job.Enabled || job.NextTick != nil {
			t.Errorf("%s is listed as enabled: %t, next tick %v; want it disabled", job.ID, job.Enabled, job.NextTick)
		}
		if _, err := worker.Service().TriggerNow(t.Context(), job.ID); !errors.Is(err, runner.ErrDisabled) {
			t.Errorf("TriggerNow(%s) = %v, want ErrDisabled", job.ID, err)
		}
	}
	if diff := cmp.Diff([]string{`msg="feature withheld" feature=worker.tokens reason="` + reason + `"`}, log.lines(`msg="feature withheld"`)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if queues := worker.Health().Queues; len(queues) != 0 {
		t.Errorf("queues worked = %v, want none", queues)
	}
}

func TestWithoutTheTableTheCleanUpStaysOffUntilARestart(t *testing.T) {
	t.Parallel()
	for _, dialect := range []storage.Dialect{storage.Postgres, storage.SQLite} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, dialect)
			p.exec(t, "CREATE TABLE users (id integer)")
			var log logbook
			worker, stop := start(t, &log, append(p.environ(), thresholds)...)
			wantOff(t, worker, &log, "the platform's database has no table tokens")
			p.createTable(t)
			p.seed(t)
			wantOff(t, worker, &log, "the platform's database has no table tokens")
			stop()
			if got := p.count(t, `SELECT count(*) FROM tokens WHERE "status" = 'ACTIVE'`); got != 4 {
				t.Errorf("%d tokens are active, want all 4", got)
			}
			worker, _ = start(t, &log, append(p.environ(), thresholds)...)
			await(t, func() bool { return len(finished(t, worker, domain.StateCompleted)) == 2 })
			p.wantSeedCleaned(t)
		})
	}
}

func TestATableOfAnotherProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, dialect := range []storage.Dialect{storage.Postgres, storage.SQLite} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, dialect)
			p.exec(t, `CREATE TABLE tokens ("id" integer, "status" text, "expiresAt" timestamp, "updatedAt" timestamp, "version" integer, "lastUsedAt" timestamp, "revokedAt" timestamp)`)
			var log logbook
			worker, _ := start(t, &log, p.environ()...)
			wantOff(t, worker, &log, "table tokens is not the platform's: it has no column tokenType, revokedReason")
		})
	}
}

func TestWithoutADatabaseOfThePlatformTheCleanUpStaysOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := configured(t)
		settings := app.SettingsFrom(c)
		w := takttest.StartWith(t, takttest.Config{Settings: settings}, app.Supply(c), tokens.Module())
		w.Advance(7 * time.Hour)
		for _, name := range []string{tokens.ExpiredJob, tokens.InactiveJob} {
			if records := w.Records(name); len(records) != 0 {
				t.Errorf("records of %s = %v, want none", name, records)
			}
		}
		for _, job := range w.Service().ListJobs() {
			if job.Enabled {
				t.Errorf("%s is listed as enabled, want it disabled", job.ID)
			}
		}
	})
}

func TestWithoutADatabaseOfThePlatformTheLogSaysSo(t *testing.T) {
	t.Parallel()
	var log logbook
	worker, _ := start(t, &log)
	wantOff(t, worker, &log, "there is no database of the platform: DB_TYPE is not set")
}

func TestWithoutTheSchedulerTheHandlersWork(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, storage.SQLite)
	p.createTable(t)
	p.seed(t)
	var log logbook
	worker, _ := start(t, &log, append(p.environ(), thresholds, "WORKER_SCHEDULER_ENABLED=false")...)
	for _, event := range []string{"token.cleanup.expired", "token.cleanup.inactive"} {
		if _, err := worker.Service().Enqueue(t.Context(), "token-maintenance", event, tokens.Payload{RequestedAt: "2026-11-23T12:00:00.000Z"}); err != nil {
			t.Fatal(err)
		}
	}
	await(t, func() bool { return len(finished(t, worker, domain.StateCompleted)) == 2 })
	p.wantSeedCleaned(t)
}

func TestWhatTheDatabaseRefusesFailsTheJob(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, p *platform) {
		var log logbook
		worker, _ := start(t, &log, append(p.environ(), thresholds)...)
		await(t, func() bool { return len(finished(t, worker, domain.StateCompleted)) == 2 })
		p.exec(t, `ALTER TABLE tokens RENAME TO gone`)
		for _, job := range []string{tokens.ExpiredJob, tokens.InactiveJob} {
			if _, err := worker.Service().TriggerNow(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
		await(t, func() bool { return len(finished(t, worker, domain.StateFailed)) == 2 })
		for name, job := range finished(t, worker, domain.StateFailed) {
			if text, _ := json.Marshal(job); !strings.Contains(string(text), "tokens") {
				t.Errorf("%s failed with %s, want it to name the table", name, text)
			}
		}
	})
}

func TestTheFeatureUsesNothingThatAUserCouldNot(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	public := []string{
		"github.com/taktwork/takt/app", "github.com/taktwork/takt/app/config", "github.com/taktwork/takt/core/domain",
		"github.com/taktwork/takt/adapters/storage", "github.com/uptrace/bun", "github.com/uptrace/bun/schema",
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			if path := strings.Trim(imported.Path.Value, `"`); strings.Contains(path, ".") && !slices.Contains(public, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
