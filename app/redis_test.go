package app_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

func TestAnExplicitConnectionWinsOverEveryVariable(t *testing.T) {
	server := redistest.Start(t)
	t.Setenv("REDIS_URL", "redis://127.0.0.1:1/9")
	t.Setenv("REDIS_HOST", "redis.invalid")
	settings := app.Settings{
		Backend: config.BackendRedis, Redis: redisqueue.Connection{Addr: server.Addr, DB: 3}, QueuePrefix: "{shop}", Queues: []string{"mail"},
	}
	worker, err := app.New(settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	result, err := worker.Service().Enqueue(t.Context(), "mail", "welcome", 7)
	if err != nil {
		t.Fatal(err)
	}
	if report := worker.Stop(context.WithoutCancel(t.Context())); !report.Clean() {
		t.Errorf("Stop() = %+v, want nothing left: the job is in Redis", report)
	}
	if got := server.ClientOf(3).HGet(t.Context(), "{shop}:mail:"+string(result.ID), "data").Val(); got != "7" {
		t.Errorf("the job's data in database 3 is %q, want 7", got)
	}
}

func TestOneConnectionServesQueuesAndLedger(t *testing.T) {
	server := redistest.Start(t)
	done := make(chan string, 1)
	settings := app.Settings{Backend: config.BackendRedis, Redis: redisqueue.Connection{Addr: server.Addr}}
	worker, err := app.New(settings, slog.New(slog.DiscardHandler), app.Feature("f", func() app.Contribution {
		return app.Contribution{
			Jobs: []app.ScheduledJob{app.Schedule("greet", func(context.Context, app.Run) (any, error) { return "hello", nil }, app.ToQueue(""))},
			Handlers: []app.Handler{app.Handle("", "greet", func(_ context.Context, job app.Job[string]) (any, error) {
				done <- job.Data
				return nil, nil
			})},
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer worker.Stop(context.WithoutCancel(t.Context()))
	if scope := worker.Health().Scope; scope != domain.ScopeFleet {
		t.Errorf("scope = %q, want %q", scope, domain.ScopeFleet)
	}
	if report, err := worker.Service().TriggerNow(t.Context(), "greet"); err != nil || report.Event != domain.EventFired {
		t.Fatalf("TriggerNow() = %+v, %v, want fired", report, err)
	}
	if got := <-done; got != "hello" {
		t.Errorf("the handler got %q, want hello", got)
	}
	queues, err := worker.Service().Queues()
	if err != nil {
		t.Fatal(err)
	}
	if counts, err := queues.Counts(t.Context(), "default"); err != nil || len(counts) != 1 {
		t.Errorf("Counts() = %+v, %v, want those of the queue", counts, err)
	}
}

// What a handler says about retries reaches the jobs of Node producers, which
// name back-offs of their own.
func TestAHandlersBackoffAndBoundOfStartsReachItsJobs(t *testing.T) {
	server := redistest.Start(t)
	settings := app.Settings{Backend: config.BackendRedis, Redis: redisqueue.Connection{Addr: server.Addr}, Queues: []string{"mail"}}
	busy := func(context.Context, app.Job[any]) (any, error) { return nil, errors.New("busy") }
	hours := func(attempts int, job *domain.Job, err error) time.Duration {
		if err.Error() != "busy" || job.Name != "waits" {
			return 0
		}
		return time.Duration(attempts) * time.Hour
	}
	worker := build(t, settings, app.Feature("f", func() app.Contribution {
		return app.Contribution{Handlers: []app.Handler{
			app.Handle("mail", "waits", busy, app.NamedBackoff("hours", hours)),
			app.Handle("mail", "bounded", busy, app.MaxStarts(1)),
			app.Handle("mail", "strange", busy),
		}}
	}))
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer worker.Stop(context.WithoutCancel(t.Context()))
	client := server.ClientOf(0)
	for _, name := range []string{"waits", "bounded", "strange"} {
		client.HSet(t.Context(), "bull:mail:"+name, "name", name, "data", "{}", "timestamp", 1, "delay", 0, "priority", 0,
			"opts", `{"attempts":9,"backoff":{"type":"hours"}}`)
		client.LPush(t.Context(), "bull:mail:wait", name)
	}
	client.ZAdd(t.Context(), "bull:mail:marker", redis.Z{Member: "0"})
	for name, want := range map[string][2]string{
		"waits": {"busy", "3600000"}, "bounded": {"busy", "0"}, "strange": {`unknown backoff "hours" after: busy`, "0"},
	} {
		for until := time.Now().Add(time.Minute); !client.HExists(t.Context(), "bull:mail:"+name, "failedReason").Val(); redistest.Pass(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("job %s is not tried after a minute", name)
			}
		}
		if job := client.HGetAll(t.Context(), "bull:mail:"+name).Val(); job["failedReason"] != want[0] || job["delay"] != want[1] {
			t.Errorf("job %s = %v, want its reason %q and delay %s", name, job, want[0], want[1])
		}
	}
}

func TestALedgerInRedisServesQueuesInMemory(t *testing.T) {
	server := redistest.Start(t)
	settings := app.Settings{Ledger: config.LedgerRedis, Redis: redisqueue.Connection{Addr: server.Addr}}
	worker, err := app.New(settings, slog.New(slog.DiscardHandler), app.Feature("f", func() app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("inline", func(context.Context, app.Run) (any, error) { return nil, nil }),
			app.Schedule("queued", func(context.Context, app.Run) (any, error) { return 1, nil }, app.ToQueue("")),
		}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for job, want := range map[string]domain.Event{"inline": domain.EventCompleted, "queued": domain.EventFired} {
		if report, err := worker.Service().TriggerNow(t.Context(), job); err != nil || report.Event != want {
			t.Errorf("TriggerNow(%s) = %+v, %v, want %s", job, report, err, want)
		}
	}
	if got := worker.Health().Scope; got != domain.ScopeFleet {
		t.Errorf("scope = %q, want %q", got, domain.ScopeFleet)
	}
	report := worker.Stop(context.WithoutCancel(t.Context()))
	if report.Dropped["default"] != 1 {
		t.Errorf("dropped = %v, want the queued job, which ends with the memory", report.Dropped)
	}
}

func TestAConnectionThatCannotBeIsAMistakeOfTheSettings(t *testing.T) {
	for want, settings := range map[string]app.Settings{
		"neither tcp nor unix":      {Redis: redisqueue.Connection{Network: "udp"}},
		"a user without a password": {Redis: redisqueue.Connection{Username: "u"}},
		"queue prefix":              {QueuePrefix: "a:b"},
	} {
		if _, err := app.New(settings, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("New() without Redis = %v, want nil", err)
		}
		settings.Backend, settings.Concurrency = config.BackendRedis, -1
		_, err := app.New(settings, slog.New(slog.DiscardHandler))
		wrong, ok := errors.AsType[*app.RegistrationError](err)
		if !ok || !strings.Contains(wrong.Error(), want) || !strings.Contains(wrong.Error(), "concurrency -1") {
			t.Errorf("New() = %v, want a registration error with %q and all other mistakes", err, want)
		}
	}
}

func TestAStartThatRedisRefusesIsUnavailable(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	worker, err := app.New(app.Settings{Backend: config.BackendRedis, Redis: redisqueue.Connection{Addr: server.Addr}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(ctx); !errors.Is(err, ports.ErrUnavailable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Start() = %v, want %v with the cause", err, ports.ErrUnavailable)
	}
}

func TestRunsReachQueuesInRedisWhereverTheLedgerIs(t *testing.T) {
	for _, ledger := range []config.Ledger{config.LedgerRedis, config.LedgerMemory} {
		t.Run(string(ledger), func(t *testing.T) {
			server := redistest.Start(t)
			settings := app.Settings{Backend: config.BackendRedis, Ledger: ledger, Redis: redisqueue.Connection{Addr: server.Addr}}
			worker, err := app.New(settings, slog.New(slog.DiscardHandler), app.Feature("f", func() app.Contribution {
				return app.Contribution{Jobs: []app.ScheduledJob{
					app.Schedule("queued", func(context.Context, app.Run) (any, error) { return 1, nil }, app.ToQueue("")),
				}}
			}))
			if err != nil {
				t.Fatal(err)
			}
			if err := worker.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer worker.Stop(context.WithoutCancel(t.Context()))
			if report, err := worker.Service().TriggerNow(t.Context(), "queued"); err != nil || report.Event != domain.EventFired {
				t.Fatalf("TriggerNow() = %+v, %v, want fired", report, err)
			}
			if got := server.Client().LLen(t.Context(), "bull:default:wait").Val(); got != 1 {
				t.Errorf("%d jobs wait, want 1", got)
			}
		})
	}
}
