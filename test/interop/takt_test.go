package interop_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// Takt's side of the checks: a whole worker (work), a consumer that the test
// drives step by step (desk), and a producer.

// handlers are what a worker of Takt does, by job name.
type handlers map[string]runner.HandlerFunc

// echo returns the job's data as its result.
func echo(_ context.Context, job *domain.Job) ([]byte, error) { return job.Data, nil }

// returns is a handler with a result.
func returns(result string) runner.HandlerFunc {
	return func(context.Context, *domain.Job) ([]byte, error) { return []byte(result), nil }
}

// fails is a handler with an error.
func fails(err error) runner.HandlerFunc {
	return func(context.Context, *domain.Job) ([]byte, error) { return nil, err }
}

// holds is a handler that works until release is closed.
func holds(release <-chan struct{}) runner.HandlerFunc {
	return func(ctx context.Context, job *domain.Job) ([]byte, error) {
		select {
		case <-release:
			return job.Data, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// config adapts the configuration of a backend.
type config = func(*redisqueue.Config)

// backend opens a backend on the lab's Redis.
func (l *lab) backend(change ...config) *redisqueue.Backend {
	l.t.Helper()
	book := &lockedBuffer{}
	settings := redisqueue.Config{
		Connection: redisqueue.Connection{Addr: l.server.Addr},
		Log:        slog.New(slog.NewTextHandler(book, nil)),
	}
	for _, apply := range change {
		apply(&settings)
	}
	backend, err := redisqueue.New(settings)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = backend.Close()
		if l.t.Failed() {
			l.t.Logf("log of takt:\n%s", book)
		}
	})
	return backend
}

// work is a worker of Takt.
type work struct {
	queue       domain.QueueName
	concurrency int
	name        string
	handlers    handlers
	config      config
	timing      runner.Timing
	// route changes what is said of each handler.
	route func(*runner.Route)
}

// work starts a worker of the queue mail, unless the work says otherwise, that
// stops with the test.
func (l *lab) work(w work) *runner.Runner {
	l.t.Helper()
	routes := map[string]runner.Route{}
	for name, handle := range w.handlers {
		route := runner.Route{Handler: handle}
		if w.route != nil {
			w.route(&route)
		}
		routes[name] = route
	}
	if w.queue == "" {
		w.queue = "mail"
	}
	if w.name == "" {
		w.name = "takt"
	}
	if w.config == nil {
		w.config = func(*redisqueue.Config) {}
	}
	book := &lockedBuffer{}
	r, err := runner.New(runner.Config{Replica: w.name, Timing: w.timing}, runner.Ports{
		OpenConsumer: l.backend(w.config).OpenConsumer, Log: slog.New(slog.NewTextHandler(book, nil)),
		Now: time.Now, Dice: rand.Float64,
	}, nil, []runner.Queue{{Name: w.queue, Concurrency: max(w.concurrency, 1), Routes: routes}})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := r.Start(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		stop(r)
		if l.t.Failed() {
			l.t.Logf("log of takt's runner:\n%s", book)
		}
	})
	return r
}

func stop(r *runner.Runner) {
	r.Stop(context.Background(), runner.StopBudget{Drain: 2 * time.Second, Cancel: time.Second, Release: time.Second})
}

// desk is a consumer of the queue mail that the test drives itself.
type desk struct {
	ports.Consumer

	t *testing.T
}

const deskLease = 30 * time.Second

func (l *lab) desk(change ...config) *desk {
	l.t.Helper()
	return l.deskLeasing(deskLease, change...)
}

// deskLeasing is desk with another length of leases.
func (l *lab) deskLeasing(lease time.Duration, change ...config) *desk {
	l.t.Helper()
	return l.openDesk(l.backend(change...), lease)
}

// deskOf is desk with a backend that the test has.
func (l *lab) deskOf(backend *redisqueue.Backend) *desk {
	l.t.Helper()
	return l.openDesk(backend, deskLease)
}

func (l *lab) openDesk(backend *redisqueue.Backend, lease time.Duration) *desk {
	l.t.Helper()
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "desk", Lease: lease})
	if err != nil {
		l.t.Fatal(err)
	}
	return &desk{Consumer: consumer, t: l.t}
}

// next leases one job.
func (d *desk) next() domain.Lease {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	leases, err := d.Reserve(ctx, 1)
	if err != nil || len(leases) != 1 {
		d.t.Fatalf("Reserve(1) = %d leases, %v, want one lease", len(leases), err)
	}
	return leases[0]
}

// nothing checks that no job can be leased within a short while.
func (d *desk) nothing(during time.Duration) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), during)
	defer cancel()
	if leases, _ := d.Reserve(ctx, 1); len(leases) > 0 {
		d.t.Fatalf("Reserve(1) leased job %s, want none", leases[0].Job.ID)
	}
}

// settle writes the outcome, which must go through.
func (d *desk) settle(lease domain.Lease, outcome domain.Outcome) {
	d.t.Helper()
	if status := d.trySettle(lease, outcome); status != domain.Settled {
		d.t.Fatalf("Settle(%s, %s) = %v, want settled", lease.Job.ID, outcome.Kind, status)
	}
}

func (d *desk) trySettle(lease domain.Lease, outcome domain.Outcome) domain.SettleStatus {
	d.t.Helper()
	reply, err := d.Settle(d.t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: outcome}}, 0)
	if err != nil || len(reply.Statuses) != 1 {
		d.t.Fatalf("Settle(%s, %s) = %v, %v, want one status", lease.Job.ID, outcome.Kind, reply, err)
	}
	return reply.Statuses[0]
}

// complete completes the job with the result.
func (d *desk) complete(lease domain.Lease, result string) {
	d.t.Helper()
	d.settle(lease, domain.Outcome{Kind: domain.Completed, Result: []byte(result)})
}

// recover looks for jobs whose lease ran out.
func (d *desk) recover() []domain.Recovered {
	d.t.Helper()
	recovered, err := d.Recover(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return recovered
}

// annotate writes the note, whose lease must be held.
func (d *desk) annotate(note domain.Note) {
	d.t.Helper()
	if lost, err := d.Annotate(d.t.Context(), []domain.Note{note}); err != nil || len(lost) > 0 {
		d.t.Fatalf("Annotate(%s) = %v lost, %v, want none", note.Lease.ID, lost, err)
	}
}

// put enqueues a job on the queue mail and returns its id.
func (l *lab) put(name, data string, options ...domain.JobOptions) string {
	l.t.Helper()
	result := l.putAll(job(name, data, options...))[0]
	if result.Status != domain.Accepted {
		l.t.Fatalf("Enqueue(%s) = %s, want accepted", name, result.Status)
	}
	return string(result.ID)
}

func job(name, data string, options ...domain.JobOptions) domain.NewJob {
	j := domain.NewJob{Queue: "mail", Name: name, Data: []byte(data)}
	if len(options) > 0 {
		j.Options = options[0]
	}
	return j
}

// putAll enqueues jobs in one call.
func (l *lab) putAll(jobs ...domain.NewJob) []domain.EnqueueResult {
	l.t.Helper()
	results, err := l.producer().Enqueue(l.t.Context(), jobs...)
	if err != nil {
		l.t.Fatal(err)
	}
	return results
}

// producer returns the backend that the lab's jobs are enqueued with.
func (l *lab) producer() *redisqueue.Backend {
	l.t.Helper()
	if l.enqueuer == nil {
		l.enqueuer = l.backend(func(c *redisqueue.Config) { c.Profile = l.profile() })
	}
	return l.enqueuer
}

// profile is that of the lab's version of BullMQ.
func (l *lab) profile() redisqueue.Profile {
	if l.v6() {
		return redisqueue.ProfileV6
	}
	return redisqueue.ProfileV5
}

// lockedBuffer is written to by one and read by another goroutine.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
