package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// stores are the adapters that hold state.
type stores struct {
	ledger     ports.Ledger
	switches   ports.ScheduleSwitch
	dispatcher ports.Dispatcher
	runs       ports.RunStore
	databases  *databases
	enqueuer   ports.Enqueuer
	// inspector and consumers are nil without queueing.
	inspector ports.Inspector
	consumers ports.OpenConsumer
	// limiter is nil without queueing, too.
	limiter ports.Limiter
	// await returns when the stores can be reached.
	await func(context.Context) error
	// problems are what keeps them from working.
	problems func() []string
	// remaining counts the unfinished jobs that end with the process.
	remaining func() map[domain.QueueName]int
	close     func() error
	// outbox is there while the worker's own database is open.
	outbox atomic.Pointer[storage.Outbox]
	// dispatches take the jobs of runs; nil if the queues outlive the process.
	dispatches *volatileDispatches
	// relay is there while the worker runs, if jobs are relayed from an outbox.
	relay atomic.Pointer[storage.Relay]
	// choose is called when the databases are open; nil if nothing depends on
	// what they hold.
	choose func()
	// chooseHistory does the same for the history, and starts its pruner.
	chooseHistory func()
	pruner        *pruner
}

// openStores opens the adapters that the settings name. It connects nothing.
func openStores(s Settings, platform *Database, bullmq *BullMQ, log *slog.Logger) (*stores, error) {
	open := &stores{
		databases: &databases{settings: s, log: log, platform: platform},
		await:     func(context.Context) error { return nil },
		problems:  func() []string { return nil },
		remaining: func() map[domain.QueueName]int { return nil },
		close:     func() error { return nil },
	}
	open.openHistory(s)
	var shared *redisqueue.Backend
	if s.usesRedis() {
		var err error
		if shared, err = openRedis(s, log); err != nil {
			// The registry reports it, with all other mistakes; see checkSettings.
			return open, nil //nolint:nilerr // see above
		}
		open.await, open.close = shared.Await, shared.Close
		open.problems = func() []string { return redisProblems(shared) }
		if s.Backend == config.BackendRedis {
			bullmq.backend.Store(shared)
		}
	}
	if err := open.openQueues(s, shared); err != nil {
		return nil, err
	}
	return open, open.openLedger(s, shared)
}

func (o *stores) openQueues(s Settings, shared *redisqueue.Backend) error {
	switch s.Backend {
	case config.BackendMemory:
		queues := inmemqueue.New(inmemqueue.Config{
			MaxJobs: s.MemoryMaxJobs, MaxBytes: s.MemoryMaxBytes, MaxPayload: s.MaxPayload, Ended: o.endedFor(s),
		})
		o.enqueuer, o.inspector, o.consumers, o.remaining = queues, queues, queues.OpenConsumer, queues.Remaining
		o.limiter = queues
		closeShared := o.close
		o.close = func() error { return errors.Join(queues.Close(), closeShared()) }
		return nil
	case config.BackendNone:
		o.enqueuer = noQueue{}
		return nil
	case config.BackendRedis:
		o.enqueuer, o.inspector, o.consumers = shared, shared, shared.OpenConsumer
		o.limiter = shared
		return nil
	case config.BackendUnset:
	}
	return fmt.Errorf("queue backend %q: %w", s.Backend, errors.ErrUnsupported)
}

func (o *stores) openLedger(s Settings, shared *redisqueue.Backend) error {
	switch s.Ledger {
	case config.LedgerMemory:
		ledger := inmemqueue.NewLedger(inmemqueue.LedgerConfig{Namespace: s.Namespace, Now: s.Now})
		o.ledger, o.switches = ledger, ledger
	case config.LedgerRedis:
		ledger := shared.Ledger()
		o.ledger, o.switches = ledger, ledger
	case config.LedgerSQL, config.LedgerAuto:
		ledger := &lateLedger{}
		o.ledger, o.switches = ledger, ledger
		o.choose = func() { ledger.choose(o.storedLedger(s)) }
	default:
		return fmt.Errorf("ledger %q: %w", s.Ledger, errors.ErrUnsupported)
	}
	if s.Ledger == config.LedgerRedis && s.Backend == config.BackendRedis {
		o.dispatcher = shared.Dispatcher()
		return nil
	}
	lease := s.Timing.ClaimLease
	setDefault(&lease, defaultClaimLease)
	queue := o.enqueuer
	if s.Backend == config.BackendMemory {
		o.dispatches = &volatileDispatches{Enqueuer: o.enqueuer}
		queue = o.dispatches
	}
	o.dispatcher = runner.NewDispatcher(o.ledger, queue, s.Namespace, lease)
	return nil
}

// volatileDispatches put the jobs of runs on queues in memory, until nobody would
// take them from there.
type volatileDispatches struct {
	ports.Enqueuer

	quiet atomic.Bool
}

// Enqueue implements [ports.Enqueuer]. After quiesce it is [ports.ErrClosed].
func (d *volatileDispatches) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	if d.quiet.Load() {
		return nil, ports.ErrClosed
	}
	return d.Enqueuer.Enqueue(ctx, jobs...)
}

// quiesce puts nothing more on queues that end with the process, but what handlers do.
func (o *stores) quiesce() {
	if relay := o.relay.Load(); relay != nil {
		relay.Quiesce()
	}
	if o.dispatches != nil {
		o.dispatches.quiet.Store(true)
	}
}

// storedLedger is in memory if storage has no schema: see databases.
func (o *stores) storedLedger(s Settings) claims {
	if own := o.databases.own.Load(); own != nil {
		return own.Ledger(s.Namespace)
	}
	return inmemqueue.NewLedger(inmemqueue.LedgerConfig{Namespace: s.Namespace, Now: s.Now})
}

// ledgerKind returns where claims came to be kept.
func (o *stores) ledgerKind(s Settings) config.Ledger {
	switch {
	case s.Ledger != config.LedgerAuto:
		return s.Ledger
	case o.databases.own.Load() != nil:
		return config.LedgerSQL
	}
	return config.LedgerMemory
}

const defaultClaimLease = 15 * time.Second

func openRedis(s Settings, log *slog.Logger) (*redisqueue.Backend, error) {
	return redisqueue.New(redisqueue.Config{
		Connection: s.Redis, Prefix: s.QueuePrefix, Namespace: s.Namespace, Profile: redisqueue.Profile(s.BullMQProfile),
		MaxPayload: s.MaxPayload, Log: log,
		Limits: redisLimits(s.RateLimits), MetricsMinutes: int((s.QueueMetrics + time.Minute - 1) / time.Minute),
	})
}

func redisLimits(limits map[string]config.RateLimit) map[domain.QueueName]redisqueue.RateLimit {
	all := make(map[domain.QueueName]redisqueue.RateLimit, len(limits))
	for queue, limit := range limits {
		all[domain.QueueName(queue)] = redisqueue.RateLimit{Max: limit.Jobs, Per: limit.Per}
	}
	return all
}

// checkRedis reports what no connection could come of, without connecting.
func checkRedis(s Settings) error {
	if !s.usesRedis() {
		return nil
	}
	backend, err := openRedis(s, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return backend.Close()
}

func redisProblems(shared *redisqueue.Backend) []string {
	since, reason := shared.Health()
	if since.IsZero() {
		return nil
	}
	return []string{fmt.Sprintf("redis has not answered for %s: %s",
		time.Since(since).Round(time.Second), domain.CleanText(reason.Error(), domain.MaxReason))}
}

func hookStores(lifecycle fx.Lifecycle, open *stores) {
	lifecycle.Append(fx.StartStopHook(open.start, open.stop))
}

// start returns when all stores can be used.
func (o *stores) start(ctx context.Context) error {
	if err := o.await(ctx); err != nil {
		return err
	}
	if err := o.databases.open(ctx); err != nil {
		return err
	}
	if o.choose != nil {
		o.choose()
	}
	if o.chooseHistory != nil {
		o.chooseHistory()
	}
	o.openOutbox(o.databases.settings)
	return nil
}

// stop closes all stores. Twice does no harm.
func (o *stores) stop() error {
	o.pruner.stop()
	return errors.Join(o.close(), o.databases.close())
}

// troubles are what keeps the stores from working.
func (o *stores) troubles() []string { return append(o.problems(), o.databases.problems()...) }

// noQueue refuses every job.
type noQueue struct{}

func (noQueue) Enqueue(context.Context, ...domain.NewJob) ([]domain.EnqueueResult, error) {
	return nil, fmt.Errorf("enqueue: %w", ErrQueueingOff)
}
