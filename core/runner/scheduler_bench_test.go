package runner_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// BenchmarkTicks measures ticks from their wake to the end of their runs, on a ledger
// in memory: those of 5,000 jobs at once, several times a second.
func BenchmarkTicks(b *testing.B) {
	b.Run("history=off", func(b *testing.B) { benchTicks(b, nil) })
	b.Run("history=memory", func(b *testing.B) { benchTicks(b, inmemqueue.NewRunStore(10_000)) })
}

func benchTicks(b *testing.B, runs ports.RunStore) {
	b.Helper()
	const jobs, every = 5000, 200 * time.Millisecond
	var begun atomic.Int64
	enough := make(chan struct{}, 1)
	handler := runner.ScheduledFunc(func(context.Context, domain.RunKey, int) ([]byte, error) {
		if begun.Add(1) == int64(b.N) {
			enough <- struct{}{}
		}
		return nil, nil
	})
	all := make([]runner.ScheduledJob, jobs)
	for i := range all {
		timing, err := schedule.NewEvery(every, 0)
		if err != nil {
			b.Fatal(err)
		}
		all[i] = runner.ScheduledJob{
			Name: fmt.Sprintf("job-%05d", i), Schedule: timing, Fingerprint: "v1", Handler: handler,
			Policy: domain.RunPolicy{Overlap: domain.OverlapAllow},
		}
	}
	log := slog.New(slog.DiscardHandler)
	ledger := inmemqueue.NewLedger(inmemqueue.LedgerConfig{})
	r, err := runner.New(runner.Config{Replica: "bench"}, runner.Ports{
		Ledger: ledger, Dispatcher: runner.NewDispatcher(ledger, inmemqueue.New(inmemqueue.Config{}), "", time.Minute), Waker: cron.New(log), Runs: runs, Log: log, Now: time.Now, Dice: rand.Float64,
	}, all, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	<-enough
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/tick")
	b.StopTimer()
	r.Stop(context.Background(), runner.StopBudget{Drain: time.Minute})
}
