package storage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/pgtest"
	"github.com/taktwork/takt/test/redistest"
)

// crashLease is how long the rows of a crashed relay are out of reach. A relay
// that lives and loses its lease in so short a time does no harm.
const crashLease = 100 * time.Millisecond

var errCrashed = errors.New("the process crashed")

// process is one that crashes at a boundary: before or after one of its
// transactions, calls of the queue or settlements. From there on nothing of it
// has an effect.
type process struct {
	boundary int64
	passed   atomic.Int64
	// taken counts what its queue has taken, by payload.
	taken handled
	// meanwhile is called by the handler of each job, if set.
	meanwhile func(p *process, data string)
}

// pass is called at each boundary; after a crash it is errCrashed for ever.
func (p *process) pass() error {
	if p.passed.Add(1) > p.boundary {
		return errCrashed
	}
	return nil
}

func (p *process) hasCrashed() bool { return p.passed.Load() > p.boundary }

// Enqueue implements [ports.Enqueuer] for a queue behind boundaries.
func (p *process) guard(queue ports.Enqueuer) ports.Enqueuer {
	return enqueuerFunc(func(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
		if err := p.pass(); err != nil {
			return nil, err
		}
		results, err := queue.Enqueue(ctx, jobs...)
		for i := range results {
			p.taken.add(jobs[i].Data)
		}
		return results, errors.Join(err, p.pass())
	})
}

// handled counts how often each payload was handled.
type handled struct {
	mu     sync.Mutex
	counts map[string]int
}

func (h *handled) add(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = make(map[string]int)
	}
	h.counts[string(data)]++
}

func (h *handled) distinct() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for data := range h.counts {
		all = append(all, data)
	}
	slices.Sort(all)
	return all
}

func (h *handled) most() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	most := 0
	for _, count := range h.counts {
		most = max(most, count)
	}
	return most
}

// work handles the jobs of the queue mail until the returned function is called.
func work(t *testing.T, open ports.OpenConsumer, handle func(domain.Lease) bool) (stop func()) {
	t.Helper()
	consumer, err := open(ports.ConsumerOptions{Queue: "mail", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() {
		for {
			leases, err := consumer.Reserve(ctx, 10)
			if err != nil {
				return
			}
			var settlements []domain.Settlement
			for _, lease := range leases {
				if handle(lease) {
					settlements = append(settlements, domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}})
				}
			}
			if _, err := consumer.Settle(ctx, settlements, 0); err != nil {
				return
			}
		}
	})
	return func() {
		cancel()
		working.Wait()
	}
}

// vanishing returns jobs that their queue removes as they are completed.
func vanishing(first, count int) []domain.NewJob {
	jobs := numbered(first, count)
	for i := range jobs {
		jobs[i].Options.KeepCompleted = domain.KeepNone()
	}
	return jobs
}

// runMemory runs a process with its queue in memory until all of the jobs wanted
// are over, or it crashes.
func runMemory(t *testing.T, db *storage.DB, outbox *storage.Outbox, p *process, done *handled, isDone func() bool) {
	t.Helper()
	var relay *storage.Relay
	var ready sync.WaitGroup
	ready.Add(1)
	queue := inmemqueue.New(inmemqueue.Config{Ended: func(receipts []string) {
		ready.Wait()
		if p.pass() == nil {
			relay.Ended(receipts)
		}
	}})
	stop := work(t, queue.OpenConsumer, func(lease domain.Lease) bool {
		if p.pass() != nil {
			return false
		}
		if p.meanwhile != nil {
			p.meanwhile(p, string(lease.Job.Data))
		}
		done.add(lease.Job.Data)
		return p.pass() == nil
	})
	relay = db.NewRelay(outbox, storage.RelayConfig{
		Queue: p.guard(queue), Volatile: true, Lease: crashLease, Log: slog.New(slog.DiscardHandler),
	}).WithFault(func(bool) error { return p.pass() })
	ready.Done()
	relay.Start()
	eventually(t, "the process crashes or is done", func() bool { return p.hasCrashed() || isDone() })
	stop()
	relay.Stop(t.Context())
	if err := queue.Close(); err != nil {
		t.Error(err)
	}
}

const neverCrash = 1 << 40

// A process with its queue in memory crashes at each boundary in turn; the next one
// does what is left. Jobs that the first one had not settled are handled again.
func TestOutbox_losesNothingOfAMemoryQueueInACrash(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		for boundary := int64(0); ; boundary++ {
			outbox := db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("crash-", boundary)})
			commitJobs(t, db, outbox, vanishing(0, 3)...)
			done := &handled{}
			isDone := func() bool { return len(done.distinct()) == 3 && rowsOf(t, db, outbox) == 0 }
			crashing := &process{boundary: boundary}
			runMemory(t, db, outbox, crashing, done, isDone)
			if !crashing.hasCrashed() {
				if boundary < 8 {
					t.Errorf("there are %d boundaries, want some", boundary)
				}
				return
			}
			runMemory(t, db, outbox, &process{boundary: neverCrash}, done, isDone)
			if got := done.distinct(); !slices.Equal(got, []string{"0", "1", "2"}) || done.most() > 2 {
				t.Errorf("crash at boundary %d: handled are %v, one of them %d times, want all, at most twice", boundary, got, done.most())
			}
		}
	})
}

// A job comes while the owner of its key is worked, and is kept to follow it. The
// process crashes at each boundary in turn: in the next one both are handled. Only
// if the queue had not taken it by then it may be dropped, for its owner waits.
func TestOutbox_losesNoKeptJobOfAMemoryQueueInACrash(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		for boundary := int64(0); ; boundary++ {
			outbox := db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("kept-", boundary)})
			jobs := vanishing(0, 2)
			for i := range jobs {
				jobs[i].Options.Deduplication = domain.Deduplication{Key: "k", Mode: domain.DedupKeepLast}
			}
			commitJobs(t, db, outbox, jobs[0])
			done, begun := &handled{}, &handled{}
			isCommitted := false
			isDone := func() bool {
				if !isCommitted && len(begun.distinct()) > 0 {
					commitJobs(t, db, outbox, jobs[1])
					isCommitted = true
				}
				return isCommitted && rowsOf(t, db, outbox) == 0
			}
			crashing := &process{boundary: boundary, meanwhile: begun.untilTaken}
			runMemory(t, db, outbox, crashing, done, isDone)
			want := []string{"0", "1"}
			hasCrashed := crashing.hasCrashed()
			if hasCrashed {
				if isCommitted && !slices.Contains(crashing.taken.distinct(), "1") {
					want = want[:1]
				}
				begun = &handled{}
				runMemory(t, db, outbox, &process{boundary: neverCrash, meanwhile: begun.untilTaken}, done, isDone)
			}
			if got := done.distinct(); !slices.Equal(got[:min(len(got), len(want))], want) || done.most() > 2 {
				t.Errorf("crash at boundary %d: handled are %v, one of them %d times, want %v, at most twice", boundary, got, done.most(), want)
			}
			if !hasCrashed {
				if boundary < 12 {
					t.Errorf("there are %d boundaries, want some", boundary)
				}
				return
			}
		}
	})
}

// untilTaken counts the job, and works the first one until the queue has taken the
// second.
func (h *handled) untilTaken(p *process, data string) {
	h.add([]byte(data))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for data == "0" && !p.hasCrashed() && !slices.Contains(p.taken.distinct(), "1") {
		<-ticker.C
	}
}

func rowsOf(t *testing.T, db *storage.DB, outbox *storage.Outbox) int {
	t.Helper()
	var rows int
	err := db.Bun().NewRaw("SELECT count(*) FROM outbox WHERE namespace = ?", outbox.Namespace()).Scan(t.Context(), &rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// A relay with its queue in Redis crashes at each boundary in turn: each job is
// handled once, though it is removed from Redis as it is completed.
func TestOutbox_doublesNothingInRedisInACrash(t *testing.T) {
	server := redistest.Start(t)
	onBoth(t, func(t *testing.T, db *storage.DB) {
		prefix := map[storage.Dialect]string{storage.SQLite: "lite", storage.Postgres: "pg"}[db.Dialect()]
		queue, err := redisqueue.New(redisqueue.Config{
			Connection: redisqueue.Connection{Addr: server.Addr}, Prefix: prefix, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer queue.Close() //nolint:errcheck // tested elsewhere
		if err := queue.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := &handled{}
		defer work(t, queue.OpenConsumer, func(lease domain.Lease) bool {
			done.add(lease.Job.Data)
			return true
		})()
		for boundary := int64(0); ; boundary++ {
			outbox := db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("crash-", boundary)})
			committed := 3 * (int(boundary) + 1)
			commitJobs(t, db, outbox, vanishing(3*int(boundary), 3)...)
			isDone := func() bool { return len(done.distinct()) == committed && rowsOf(t, db, outbox) == 0 }
			crashing := &process{boundary: boundary}
			run := func(p *process) {
				relay := db.NewRelay(outbox, storage.RelayConfig{
					Queue: p.guard(queue), Lease: crashLease, Log: slog.New(slog.DiscardHandler),
				}).WithFault(func(bool) error { return p.pass() })
				relay.Start()
				eventually(t, "the relay crashes or is done", func() bool { return p.hasCrashed() || isDone() })
				relay.Stop(t.Context())
			}
			run(crashing)
			if !crashing.hasCrashed() {
				if boundary < 5 {
					t.Errorf("there are %d boundaries, want some", boundary)
				}
				break
			}
			run(&process{boundary: neverCrash})
			if done.most() != 1 {
				t.Errorf("crash at boundary %d: a job was handled %d times, want once", boundary, done.most())
			}
		}
	})
}

// A producer crashes at each of its statements in turn, and each time its
// connection breaks: jobs are there if and only if the order that they belong to
// is.
func TestOutbox_takesNothingFromAProducerThatCrashed(t *testing.T) {
	t.Parallel()
	uri, db := openAddressed(t)
	pgtest.Exec(t, uri, "CREATE TABLE worker.orders (id bigint); GRANT SELECT ON worker.orders TO worker_run")
	outbox := db.Outbox(storage.OutboxConfig{})
	const statements = 5
	for crash := range statements + 1 {
		conn, err := pgx.Connect(t.Context(), uri.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		produce(t, conn, outbox, crash)
		_ = conn.PgConn().Conn().Close()
		_ = conn.Close(t.Context())
	}
	var orders []int64
	if err := db.Bun().NewRaw("SELECT id FROM worker.orders ORDER BY id").Scan(t.Context(), &orders); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(orders, []int64{statements - 1, statements}) {
		t.Errorf("the orders are %v, want those that were committed", orders)
	}
	queue := &recorder{}
	relayUntil(t, db, outbox, queue, 2*len(orders))
	var want []string
	for _, id := range orders {
		want = append(want, strconv.FormatInt(id, 10), strconv.FormatInt(id, 10))
	}
	if got := queue.data("mail"); !slices.Equal(got, want) {
		t.Errorf("the queue got %v, want %v", got, want)
	}
}

// produce stores the order of the number, with a job before and one behind it, up
// to so many statements.
func produce(t *testing.T, conn *pgx.Conn, outbox *storage.Outbox, statements int) {
	t.Helper()
	var tx pgx.Tx
	job := mailJob(strconv.Itoa(statements))
	for i, statement := range []func() error{
		func() (err error) { tx, err = conn.Begin(t.Context()); return err },
		func() error { return outbox.Enqueue(t.Context(), storage.PgxTx(tx), job) },
		func() error {
			_, err := tx.Exec(t.Context(), "INSERT INTO worker.orders VALUES ($1)", statements)
			return err
		},
		func() error { return outbox.Enqueue(t.Context(), storage.PgxTx(tx), job) },
	} {
		if i >= statements {
			return
		}
		if err := statement(); err != nil {
			t.Fatalf("statement %d = %v, want no error", i, err)
		}
	}
	if statements >= 4 {
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatalf("Commit = %v, want no error", err)
		}
	}
}
