package storage_test

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// Load of the measurement of latency: a transaction of latencyJobs jobs each
// latencyEvery, 2,000 jobs a second.
const (
	latencyJobs  = 10
	latencyEvery = 5 * time.Millisecond
	producerTx   = 100
)

func BenchmarkOutbox(b *testing.B) {
	for name, open := range map[string]func(*testing.B) *storage.DB{
		"sqlite": func(b *testing.B) *storage.DB { return openSQLite(b) }, "postgres": openDurable,
	} {
		for queueName, openQueue := range map[string]func(*testing.B) (ports.Enqueuer, *storage.RelayConfig){
			"memory": memoryQueue, "redis": redisQueue,
		} {
			b.Run(name+"/"+queueName+"/backlog", func(b *testing.B) { benchBacklog(b, open(b), openQueue) })
			b.Run(name+"/"+queueName+"/both", func(b *testing.B) { benchBoth(b, open(b), openQueue) })
			b.Run(name+"/"+queueName+"/latency", func(b *testing.B) { benchLatency(b, open(b), openQueue) })
		}
	}
}

func redisQueue(b *testing.B) (ports.Enqueuer, *storage.RelayConfig) {
	b.Helper()
	server := redistest.Start(b)
	queue, err := redisqueue.New(redisqueue.Config{
		Connection: redisqueue.Connection{Addr: server.Addr}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = queue.Close() })
	if err := queue.Await(b.Context()); err != nil {
		b.Fatal(err)
	}
	return queue, &storage.RelayConfig{Queue: queue}
}

// memoryQueue is one whose jobs are completed as soon as they are there.
func memoryQueue(b *testing.B) (ports.Enqueuer, *storage.RelayConfig) {
	b.Helper()
	config := &storage.RelayConfig{Volatile: true}
	queue := inmemqueue.New(inmemqueue.Config{MaxJobs: 1 << 20, Ended: func(receipts []string) { benchRelay.Ended(receipts) }})
	config.Queue = queue
	consumer, err := queue.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Lease: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			leases, err := consumer.Reserve(ctx, 50)
			if err != nil {
				return
			}
			settlements := make([]domain.Settlement, len(leases))
			for i := range leases {
				settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
			}
			if _, err := consumer.Settle(ctx, settlements, 0); err != nil {
				return
			}
		}
	})
	b.Cleanup(func() {
		cancel()
		work.Wait()
		_ = queue.Close()
	})
	return queue, config
}

// benchRelay is the relay of the benchmark that runs.
var benchRelay *storage.Relay

// arrivals notes when jobs come to a queue.
type arrivals struct {
	ports.Enqueuer

	mu   sync.Mutex
	came []time.Time
	want int
	all  chan struct{}
}

func newArrivals(queue ports.Enqueuer, want int) *arrivals {
	return &arrivals{Enqueuer: queue, want: want, all: make(chan struct{}), came: make([]time.Time, 0, want)}
}

// Enqueue implements [ports.Enqueuer].
func (a *arrivals) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	results, err := a.Enqueuer.Enqueue(ctx, jobs...)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, result := range results {
		if result.Status == domain.Accepted {
			a.came = append(a.came, now)
			if len(a.came) == a.want {
				close(a.all)
			}
		}
	}
	return results, err
}

func startBenchRelay(b *testing.B, db *storage.DB, outbox *storage.Outbox, config *storage.RelayConfig, queue ports.Enqueuer) {
	b.Helper()
	config.Queue, config.Log = queue, slog.New(slog.DiscardHandler)
	benchRelay = db.NewRelay(outbox, *config)
	benchRelay.Start()
}

func stopBenchRelay(b *testing.B, db *storage.DB, outbox *storage.Outbox) {
	b.Helper()
	benchRelay.Stop(context.Background())
	wantRows(b, db, outbox.Namespace())
}

// benchBacklog relays rows that are all there when it begins.
func benchBacklog(b *testing.B, db *storage.DB, openQueue func(*testing.B) (ports.Enqueuer, *storage.RelayConfig)) {
	queue, config := openQueue(b)
	outbox := db.Outbox(storage.OutboxConfig{})
	for first := 0; first < b.N; first += producerTx {
		commitJobs(b, db, outbox, numbered(first, min(producerTx, b.N-first))...)
	}
	came := newArrivals(queue, b.N)
	b.ResetTimer()
	startBenchRelay(b, db, outbox, config, came)
	<-came.all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	stopBenchRelay(b, db, outbox)
}

// benchBoth relays while two producers commit as fast as they can.
func benchBoth(b *testing.B, db *storage.DB, openQueue func(*testing.B) (ports.Enqueuer, *storage.RelayConfig)) {
	queue, config := openQueue(b)
	outbox := db.Outbox(storage.OutboxConfig{})
	came := newArrivals(queue, b.N)
	startBenchRelay(b, db, outbox, config, came)
	b.ResetTimer()
	var producers sync.WaitGroup
	for half := range 2 {
		producers.Go(func() {
			for first := half * producerTx; first < b.N; first += 2 * producerTx {
				commitJobs(b, db, outbox, numbered(first, min(producerTx, b.N-first))...)
			}
		})
	}
	producers.Wait()
	<-came.all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	stopBenchRelay(b, db, outbox)
}

// benchLatency measures the time from the commit of a job to its place on the
// queue, at a steady load.
func benchLatency(b *testing.B, db *storage.DB, openQueue func(*testing.B) (ports.Enqueuer, *storage.RelayConfig)) {
	queue, config := openQueue(b)
	outbox := db.Outbox(storage.OutboxConfig{})
	rounds := (b.N + latencyJobs - 1) / latencyJobs
	came := newArrivals(queue, rounds*latencyJobs)
	startBenchRelay(b, db, outbox, config, came)
	committed := make([]time.Time, 0, came.want)
	ticker := time.NewTicker(latencyEvery)
	defer ticker.Stop()
	b.ResetTimer()
	for round := range rounds {
		<-ticker.C
		commitJobs(b, db, outbox, numbered(round*latencyJobs, latencyJobs)...)
		committed = append(committed, slices.Repeat([]time.Time{time.Now()}, latencyJobs)...)
	}
	<-came.all
	b.StopTimer()
	added := make([]time.Duration, len(committed))
	for i := range added {
		added[i] = came.came[i].Sub(committed[i])
	}
	slices.Sort(added)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(added[len(added)*p/100].Microseconds())/1000, "p"+strconv.Itoa(p)+"-ms")
	}
	stopBenchRelay(b, db, outbox)
}
