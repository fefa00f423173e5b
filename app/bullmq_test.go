package app_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/test/redistest"
)

// counting is a feature that counts the jobs of its queue in BullMQ's way when
// the worker starts.
func counting(counts *redisqueue.Counts, found *bool) app.Option {
	return app.Feature("counting", func(lifecycle app.Lifecycle, bullmq *app.BullMQ) app.Contribution {
		lifecycle.Append(app.Hook{OnStart: func(ctx context.Context) error {
			backend, ok := bullmq.Backend()
			if *found = ok; !ok {
				return nil
			}
			queue, err := backend.Queue("mail")
			if err != nil {
				return err
			}
			*counts, err = queue.Counts(ctx)
			return err
		}})
		return app.Contribution{}
	})
}

func startAndStop(t *testing.T, settings app.Settings, options ...app.Option) {
	t.Helper()
	worker, err := app.New(settings, slog.New(slog.DiscardHandler), options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	worker.Stop(context.WithoutCancel(t.Context()))
}

func TestAFeatureReachesBullMQ(t *testing.T) {
	server := redistest.Start(t)
	server.Client().RPush(t.Context(), "bull:mail:wait", "1", "2")
	var counts redisqueue.Counts
	var found bool
	startAndStop(t, app.Settings{Backend: config.BackendRedis, Redis: redisqueue.Connection{Addr: server.Addr}}, counting(&counts, &found))
	if !found || counts.Wait != 2 {
		t.Errorf("found %t, counts %+v, want 2 jobs waiting", found, counts)
	}
}

func TestAFeatureIsToldThatQueuesAreNotInRedis(t *testing.T) {
	server := redistest.Start(t)
	for name, settings := range map[string]app.Settings{
		"queues in memory":  {},
		"a ledger in Redis": {Ledger: config.LedgerRedis, Redis: redisqueue.Connection{Addr: server.Addr}},
	} {
		found := true
		startAndStop(t, settings, counting(&redisqueue.Counts{}, &found))
		if found {
			t.Errorf("%s: Backend() found one, want none", name)
		}
	}
}
