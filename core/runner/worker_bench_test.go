package runner_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// BenchmarkWorker measures jobs from Enqueue to their settlement on the
// in-memory queue: batches of 50, a typed handler on an empty struct.
func BenchmarkWorker(b *testing.B) {
	const batch, concurrency, ahead = 50, 100, 5000
	var worked atomic.Int64
	room := make(chan struct{}, 1)
	handler := runner.Handle(func(context.Context, runner.Job[struct{}]) (any, error) {
		if n := worked.Add(1); n%batch == 0 || n == int64(b.N) {
			select {
			case room <- struct{}{}:
			default:
			}
		}
		return nil, nil
	})
	backend := inmemqueue.New(inmemqueue.Config{})
	r, err := runner.New(runner.Config{Replica: "bench"}, runner.Ports{
		OpenConsumer: backend.OpenConsumer, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Dice: func() float64 { return 0 },
	}, nil, []runner.Queue{{Name: mail, Concurrency: concurrency, Routes: map[string]runner.Route{"send": {Handler: handler}}}})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	jobs := make([]domain.NewJob, batch)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: mail, Name: "send", Data: []byte(`{}`), Options: domain.JobOptions{KeepCompleted: domain.KeepNone()}}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += batch {
		for int64(sent)-worked.Load() > ahead {
			<-room
		}
		if _, err := backend.Enqueue(b.Context(), jobs[:min(batch, b.N-sent)]...); err != nil {
			b.Fatal(err)
		}
	}
	for int64(b.N) > worked.Load() {
		<-room
	}
	r.Stop(context.Background(), runner.StopBudget{Drain: time.Minute})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
