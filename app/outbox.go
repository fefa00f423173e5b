package app

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"go.uber.org/fx"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/core/domain"
)

// Outbox enqueues jobs within transactions of the application's: a job is there
// if and only if its transaction is committed. Then a worker puts it on its
// queue, wherever that is, usually within milliseconds. A constructor asks for an
// *Outbox, and may use it in hooks and jobs. It is safe for concurrent use.
//
// The outbox lies in the worker's own database, and so must the transaction: in
// the Postgres of DB_TYPE=postgres, or in the worker's own SQLite file.
type Outbox struct{ engine atomic.Pointer[engine] }

// Enqueue adds a job to the transaction, which it leaves to the caller to commit;
// an empty queue is the default one. data is marshalled as JSON. At most one
// options is given; a delay counts from here on. Errors are [ErrQueueingOff],
// [ErrUnknownQueue], [ErrNotStarted], [ErrStorage] without a database of the
// worker's, and those of [storage.Outbox.Enqueue].
func (o *Outbox) Enqueue(ctx context.Context, tx storage.Tx, queue, name string, data any, options ...domain.JobOptions) error { //nolint:revive // those of SchedulerService.Enqueue, and the transaction
	job, err := newJob(queue, name, data, options)
	if err != nil {
		return err
	}
	return o.EnqueueAll(ctx, tx, job)
}

// EnqueueAll adds many jobs to the transaction. The jobs of a queue get there in
// this order, and after those of transactions that were committed before.
// The payloads are JSON. Errors are as for [Outbox.Enqueue].
func (o *Outbox) EnqueueAll(ctx context.Context, tx storage.Tx, jobs ...domain.NewJob) error {
	e := o.engine.Load()
	if e == nil || !e.begun.Load() {
		return ErrNotStarted
	}
	if !e.settings.Queueing() {
		return fmt.Errorf("enqueue in outbox: %w", ErrQueueingOff)
	}
	jobs, err := e.addressed(jobs)
	if err != nil {
		return err
	}
	outbox := e.stores.outbox.Load()
	if outbox == nil {
		return fmt.Errorf("enqueue in outbox: %w", ErrStorage)
	}
	return outbox.Enqueue(ctx, tx, jobs...)
}

// DB returns the worker's own database, in which the outbox lies, from OnStart
// until OnStop, and false if there is none. Transactions begin there if the
// application has no connection of its own to it.
func (o *Outbox) DB() (*storage.DB, bool) {
	e := o.engine.Load()
	if e == nil {
		return nil, false
	}
	own := e.stores.databases.own.Load()
	return own, own != nil
}

// hookRelay relays from the outbox while the worker runs.
func hookRelay(lifecycle fx.Lifecycle, e *engine) {
	lifecycle.Append(fx.Hook{OnStart: e.startRelay, OnStop: e.stopRelay})
}

func (e *engine) startRelay(ctx context.Context) error {
	outbox := e.stores.outbox.Load()
	if outbox == nil {
		return nil
	}
	if !e.settings.Queueing() {
		return e.warnOfOutbox(ctx, outbox)
	}
	relayed := storage.RelayConfig{Queue: e.stores.enqueuer, Log: e.log}
	if e.settings.Backend == config.BackendMemory {
		relayed.Volatile, relayed.Queues = true, e.workedNames()
		if len(relayed.Queues) == 0 {
			return nil
		}
	}
	relay := e.stores.databases.own.Load().NewRelay(outbox, relayed)
	e.stores.relay.Store(relay)
	relay.Start()
	return nil
}

func (e *engine) stopRelay(ctx context.Context) error {
	if relay := e.stores.relay.Load(); relay != nil {
		relay.Stop(ctx)
	}
	return nil
}

// warnOfOutbox says that nobody relays what is there.
func (e *engine) warnOfOutbox(ctx context.Context, outbox *storage.Outbox) error {
	queues, err := outbox.Waiting(ctx)
	if err != nil {
		return err
	}
	if len(queues) > 0 {
		e.log.WarnContext(ctx, "outbox is not relayed", "reason", ErrQueueingOff.Error(), "queues", queues)
	}
	return nil
}

// workedNames are the queues that have handlers here, of features that are not
// withheld.
func (e *engine) workedNames() []domain.QueueName {
	var withheld map[string]bool
	if features := e.withheld.Load(); features != nil {
		withheld = *features
	}
	names := []domain.QueueName{}
	for _, h := range e.registry.handlers {
		if name := domain.QueueName(h.queue); !withheld[h.feature] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// openOutbox opens the outbox in the worker's own database.
func (o *stores) openOutbox(s Settings) {
	if own := o.databases.own.Load(); own != nil {
		o.outbox.Store(own.Outbox(storage.OutboxConfig{Namespace: s.Namespace, MaxPayload: s.MaxPayload}))
	}
}

// endedFor returns who is told of jobs in memory that are over, if anybody is.
func (o *stores) endedFor(s Settings) func(receipts []string) {
	if !s.hasStorage() {
		return nil
	}
	return func(receipts []string) {
		if relay := o.relay.Load(); relay != nil {
			relay.Ended(receipts)
		}
	}
}

// dropped counts the unfinished jobs that end with the process, and that no
// outbox has.
func (o *stores) dropped() map[domain.QueueName]int {
	dropped := o.remaining()
	relay := o.relay.Load()
	if relay == nil {
		return dropped
	}
	for name, handed := range relay.Handed() {
		if dropped[name] -= handed; dropped[name] <= 0 {
			delete(dropped, name)
		}
	}
	return dropped
}
