package runner_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// BenchmarkWorker measures jobs from Enqueue to their settlement on the
// in-memory queue: batches of 50, a typed handler on an empty struct.
func BenchmarkWorker(b *testing.B) { benchWorker(b, nil, 0) }

// BenchmarkWorkerHistory measures the same with history, in memory and in
// SQLite, and with handlers that compute for a while.
func BenchmarkWorkerHistory(b *testing.B) {
	for _, computes := range []time.Duration{0, 100 * time.Microsecond} {
		for name, open := range map[string]func(*testing.B) ports.RunStore{
			"off":    func(*testing.B) ports.RunStore { return nil },
			"memory": func(*testing.B) ports.RunStore { return inmemqueue.NewRunStore(10_000) },
			"sqlite": openHistory,
		} {
			b.Run(fmt.Sprintf("computes=%s/history=%s", computes, name), func(b *testing.B) { benchWorker(b, open(b), computes) })
		}
	}
}

func openHistory(b *testing.B) ports.RunStore {
	b.Helper()
	db, err := storage.Open(b.Context(), storage.Config{
		Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(b.TempDir(), "takt.db")},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db.RunStore("bench")
}

// compute keeps a processor busy for d.
func compute(d time.Duration) {
	began := time.Now()
	for n := 0; time.Since(began) < d; n++ {
		_ = n
	}
}

func benchWorker(b *testing.B, runs ports.RunStore, computes time.Duration) {
	b.Helper()
	const batch, concurrency, ahead = 50, 100, 5000
	var worked atomic.Int64
	room := make(chan struct{}, 1)
	handler := runner.Handle(func(context.Context, runner.Job[struct{}]) (any, error) {
		if computes > 0 {
			compute(computes)
		}
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
		OpenConsumer: backend.OpenConsumer, Runs: runs, Log: slog.New(slog.DiscardHandler),
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
	before := processorTime(b)
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
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/job")
	if runs != nil {
		b.ReportMetric(float64(stored(b, runs))/float64(b.N), "stored/job")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// stored returns how many records the store was given, by the latest number.
func stored(b *testing.B, runs ports.RunStore) int64 {
	b.Helper()
	newest, err := runs.Query(b.Context(), domain.RunFilter{Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0
	}
	return newest[0].ID
}

// processorTime returns what this process has used: unlike time it tells the
// cost of a job on a busy machine, too.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
