package storage

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Intervals of a relay.
const (
	// DefaultRelayLease is how long a relay that was cut off keeps others from
	// the rows of a queue.
	DefaultRelayLease = 15 * time.Second
	// busyPoll is how often a relay looks while rows came lately, idlePoll how
	// often otherwise, and heardPoll how often if the server tells of new rows.
	busyPoll  = 10 * time.Millisecond
	idlePoll  = 2 * time.Second
	heardPoll = 5 * time.Second
	// busyFor is how long rows, or jobs enqueued in this process, count as
	// having come lately.
	busyFor = 2 * time.Second
	// quietFor is how long a relay leaves a queue alone that another one holds.
	quietFor = time.Second
	// Pauses after errors grow from the first to the last.
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// RelayConfig describes a relay. Zero fields take their default, but Queue
// and Log must be set.
type RelayConfig struct {
	// Queue takes the jobs.
	Queue ports.Enqueuer
	// Volatile says that what Queue accepted ends with this process. A row is
	// then kept until [Relay.Ended] is told that its job is over, or that it was
	// deduplicated and is not kept to follow the owner of its key.
	Volatile bool
	// Queues are those to serve; nil means all. A volatile queue should take what
	// is worked in this process, and leave the rest to others.
	Queues []domain.QueueName
	// Lease is how long this relay keeps others from a queue without a sign of
	// life; default [DefaultRelayLease].
	Lease time.Duration
	Log   *slog.Logger
}

// Relay puts the jobs of an outbox on their queues. Any number of relays, in
// any number of processes, may serve one outbox: each queue is served by one of
// them at a time.
type Relay struct {
	outbox   *Outbox
	config   RelayConfig
	runner   runner
	sql      *outboxSQL
	listener *listener
	// token is this relay's own, in the leases that it holds and the rows that it
	// handed over.
	token int64

	// wakes tells the loop that a queue is due.
	wakes chan struct{}
	// halt ends the loop and lets the queues finish what is under way; cut ends
	// that, too.
	halt, cut context.CancelFunc
	running   sync.WaitGroup
	loopOver  chan struct{}

	// quiet ends the handing over, see [Relay.Quiesce].
	quiet atomic.Bool

	mu     sync.Mutex
	queues map[domain.QueueName]*relayQueue
	// handed are the rows, by receipt, that a volatile queue has taken, until they
	// are known to be deleted.
	handed map[string]handedRow
	// strange tells that the server told of a queue which is not known here.
	strange bool
}

type handedRow struct {
	queue *relayQueue
	id    int64
	// over tells that the job is.
	over bool
}

// NewRelay returns a relay for the outbox, which must be one of db.
func (db *DB) NewRelay(outbox *Outbox, config RelayConfig) *Relay {
	if config.Lease == 0 {
		config.Lease = DefaultRelayLease
	}
	r := &Relay{
		outbox: outbox, config: config, runner: db.runner, sql: newOutboxSQL(db.dialect), token: rand.Int64(),
		wakes: make(chan struct{}, 1), queues: make(map[domain.QueueName]*relayQueue), handed: make(map[string]handedRow),
	}
	if db.connect != nil {
		r.listener = &listener{connect: db.connect, namespace: outbox.config.Namespace, relay: r}
	}
	return r
}

// Start begins and returns. The database need not answer yet. A relay starts
// once.
func (r *Relay) Start() {
	loop, halt := context.WithCancel(context.Background())
	work, cut := context.WithCancel(context.Background())
	r.halt, r.cut, r.loopOver = halt, cut, make(chan struct{})
	if r.listener != nil {
		r.running.Go(func() { r.listener.run(loop) })
	}
	go func() {
		defer close(r.loopOver)
		r.run(loop, work)
	}()
}

// Quiesce ends the handing over of rows, for a process that takes up no more work.
// What was handed over is still followed, and queues are left to other relays as
// soon as nothing of it is left.
func (r *Relay) Quiesce() { r.quiet.Store(true) }

// Stop lets what is under way end, leaves the queues to other relays and waits
// for all goroutines. When most of the time of ctx is over, what is under way is
// broken off. Its rows are handed over again by whoever comes next, as are those
// whose jobs a volatile queue has and are not over by now; after the end of ctx
// not before the lease ends.
// Calling it twice, or before Start, does no harm.
func (r *Relay) Stop(ctx context.Context) {
	if r.halt == nil {
		return
	}
	r.halt()
	defer r.cut()
	patience, cancel := mostOf(ctx)
	defer cancel()
	select {
	case <-r.loopOver:
	case <-patience.Done():
		r.cut()
		<-r.loopOver
	}
	r.giveBack(ctx)
}

// mostOf returns a context that ends when three quarters of ctx's time are over.
func mostOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/4))
}

// Handed returns how many rows of each queue a volatile queue has whose jobs are
// not over. After Stop it is what is handed over again.
func (r *Relay) Handed() map[domain.QueueName]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	handed := make(map[domain.QueueName]int)
	for name, q := range r.queues {
		if q.handed > 0 {
			handed[name] = q.handed
		}
	}
	return handed
}

// Ended tells that the jobs with these receipts are over: completed, failed,
// removed, or deduplicated and not kept. Receipts of others are passed over. It does not block.
func (r *Relay) Ended(receipts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, receipt := range receipts {
		if row, ok := r.handed[receipt]; ok && !row.over {
			row.over = true
			r.handed[receipt] = row
			row.queue.handed--
			row.queue.ended = append(row.queue.ended, receipt)
			row.queue.ask(time.Time{})
		}
	}
	r.wake()
}

func (r *Relay) wake() {
	select {
	case r.wakes <- struct{}{}:
	default:
	}
}

// run looks for rows and has the queues carried until loop ends, and waits for
// all of them.
func (r *Relay) run(loop, work context.Context) {
	pace := pace{relay: r}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for loop.Err() == nil {
		if r.toldOfStrange() || pace.isDue(time.Now()) {
			pace.looked(r.look(loop))
		}
		r.startDue(loop, work)
		timer.Reset(pace.wait(time.Now()))
		select {
		case <-loop.Done():
		case <-timer.C:
		case <-r.wakes:
		case <-r.outbox.hints:
			pace.busy(time.Now())
		}
	}
	r.running.Wait()
}

// look asks which queues have rows to hand over, has them carried, now or when
// the lease of another relay ends, and reports whether there are any for now.
func (r *Relay) look(ctx context.Context) (bool, error) {
	waits, err := r.outbox.waits(ctx, r.token)
	if err != nil {
		return false, err
	}
	if r.listener != nil {
		r.listener.probe(ctx)
	}
	found := false
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, wait := range waits {
		if !r.serves(name) {
			continue
		}
		if wait > 0 {
			r.queue(name).due = time.Now().Add(wait)
			continue
		}
		found = true
		r.queue(name).ask(time.Time{})
	}
	return found, nil
}

// told says that the server told of new rows of the queue. Anybody may have the
// server tell that: a queue that is not known is looked for first.
func (r *Relay) told(name domain.QueueName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.queues[name]; q != nil {
		q.ask(time.Time{})
	} else {
		r.strange = true
	}
	r.wake()
}

// serves reports whether the queue is one of this relay's.
func (r *Relay) serves(name domain.QueueName) bool {
	return r.config.Queues == nil || slices.Contains(r.config.Queues, name)
}

func (r *Relay) toldOfStrange() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	strange := r.strange
	r.strange = false
	return strange
}

// queue returns the named queue, made if need be.
func (r *Relay) queue(name domain.QueueName) *relayQueue {
	q := r.queues[name]
	if q == nil {
		q = &relayQueue{relay: r, name: name, limit: mostRows}
		r.queues[name] = q
	}
	return q
}

// startDue has all queues carried that are due.
func (r *Relay) startDue(loop, work context.Context) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.queues {
		if at, due := q.dueAt(); due && !q.carried && !at.After(now) {
			q.carried, q.asked = true, false
			r.running.Go(func() { q.carry(loop, work) })
		}
	}
}

// nextDue returns when the next queue is due that is not carried.
func (r *Relay) nextDue() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var next time.Time
	for _, q := range r.queues {
		if at, due := q.dueAt(); due && !q.carried && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, !next.IsZero()
}

// giveBack writes what the queues still know, and ends the leases.
func (r *Relay) giveBack(ctx context.Context) {
	for _, q := range r.queues {
		if err := q.release(ctx); err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "outbox not given back", "queue", string(q.name), "err", err.Error())
		}
	}
}

// trouble logs an error once, until a call succeeds again.
type trouble struct{ since time.Time }

func (t *trouble) note(ctx context.Context, log *slog.Logger, attrs []any, err error) {
	switch {
	case err == nil && !t.since.IsZero():
		log.InfoContext(ctx, "outbox goes on", append(attrs, "away_ms", time.Since(t.since).Milliseconds())...)
		t.since = time.Time{}
	case err != nil && t.since.IsZero() && !errors.Is(err, context.Canceled):
		t.since = time.Now()
		log.WarnContext(ctx, "outbox held up", append(attrs, "err", domain.CleanText(err.Error(), domain.MaxReason))...)
	}
}
