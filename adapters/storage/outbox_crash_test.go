package storage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// crashLease is how long the rows of a crashed relay are out of reach. A relay
// that lives and loses its lease in so short a time does no harm.
const crashLease = 100 * time.Millisecond

var errCrashed = errors.New("the process crashed")

// process is one that crashes at a boundary: before one of its statements, after one of
// its transactions, before or after a call of the queue or a settlement. From there on
// nothing of it has an effect, nor has the transaction that it was in.
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

// guard puts the queue behind boundaries.
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

func (h *handled) haveAll(payloads []string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, data := range payloads {
		if h.counts[data] == 0 {
			return false
		}
	}
	return true
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

// everyOtherVanishes has the queue remove every other one of the jobs as it is completed,
// from the first or the second on, and keep the others.
func everyOtherVanishes(jobs []domain.NewJob, from int) []domain.NewJob {
	for i := from; i < len(jobs); i += 2 {
		jobs[i].Options.KeepCompleted = domain.KeepNone()
	}
	return jobs
}

// roundsAtOnce is how many rounds of a test go on beside one another: most of their time
// they wait for the lease of a process that crashed.
const roundsAtOnce = 8

// crashEverywhere plays a round in which no process crashes, and then one for each
// boundary that it had, with a process that crashes there.
func crashEverywhere(t *testing.T, least int, play func(round int, p *process)) {
	t.Helper()
	whole := &process{boundary: neverCrash}
	play(0, whole)
	boundaries := int(whole.passed.Load())
	var crashes atomic.Int64
	var group sync.WaitGroup
	places := make(chan struct{}, roundsAtOnce)
	for boundary := range boundaries {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			p := &process{boundary: int64(boundary)}
			play(boundary+1, p)
			if p.hasCrashed() {
				crashes.Add(1)
			}
		})
	}
	group.Wait()
	if crashes.Load() < int64(least) {
		t.Errorf("%d processes crashed at %d boundaries, want at least %d", crashes.Load(), boundaries, least)
	}
}

// numbersOfARound keeps the payloads of rounds apart.
const numbersOfARound = 10

// commitAndUndo commits so many jobs of a round and returns their payloads. Before, as
// many others are rolled back, on Postgres also as their producer crashes.
func commitAndUndo(t *testing.T, db *storage.DB, outbox *storage.Outbox, round, count int) []string {
	t.Helper()
	first := numbersOfARound * round
	undone := everyOtherVanishes(numbered(-first-count, count), round%2)
	undo := func(end func(*bunProducer)) {
		p := &bunProducer{place: place{db: db}}
		if err := p.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := outbox.Enqueue(t.Context(), p.transaction(), undone...); err != nil {
			t.Fatal(err)
		}
		end(p)
	}
	undo(func(p *bunProducer) {
		if err := p.rollback(); err != nil {
			t.Error(err)
		}
	})
	if db.Dialect() == storage.Postgres {
		undo(func(p *bunProducer) { p.crash(t) })
	}
	jobs := everyOtherVanishes(numbered(first, count), round%2)
	commitJobs(t, db, outbox, jobs...)
	return payloads(jobs)
}

func payloads(jobs []domain.NewJob) []string {
	all := make([]string, len(jobs))
	for i := range jobs {
		all[i] = string(jobs[i].Data)
	}
	slices.Sort(all)
	return all
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
	}).CrashAt(p.pass)
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
// does what is left. Jobs that the first one had not settled are handled again, and none
// that was rolled back is.
func TestOutbox_losesNothingOfAMemoryQueueInACrash(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		crashEverywhere(t, 15, func(round int, p *process) {
			outbox := db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("crash-", round)})
			want := commitAndUndo(t, db, outbox, round, 3)
			done := &handled{}
			isDone := func() bool { return len(done.distinct()) >= len(want) && rowsOf(t, db, outbox) == 0 }
			runMemory(t, db, outbox, p, done, isDone)
			most := 1
			if p.hasCrashed() {
				most = 2
				runMemory(t, db, outbox, &process{boundary: neverCrash}, done, isDone)
			}
			if got := done.distinct(); !slices.Equal(got, want) || done.most() > most {
				t.Errorf("crash at boundary %d: handled are %v, one of them %d times, want %v, at most %d times", p.boundary, got, done.most(), want, most)
			}
		})
	})
}

// A job comes while the owner of its key is worked, and is kept to follow it. The
// process crashes at each boundary in turn: in the next one both are handled. Only
// if the queue had not taken it by then it may be dropped, for its owner waits.
func TestOutbox_losesNoKeptJobOfAMemoryQueueInACrash(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		crashEverywhere(t, 15, func(round int, p *process) {
			outbox := db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("kept-", round)})
			jobs := everyOtherVanishes(numbered(0, 2), round%2)
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
			p.meanwhile = begun.untilTaken
			runMemory(t, db, outbox, p, done, isDone)
			want := []string{"0", "1"}
			if p.hasCrashed() {
				if isCommitted && !slices.Contains(p.taken.distinct(), "1") {
					want = want[:1]
				}
				begun = &handled{}
				runMemory(t, db, outbox, &process{boundary: neverCrash, meanwhile: begun.untilTaken}, done, isDone)
			}
			if got := done.distinct(); !slices.Equal(got[:min(len(got), len(want))], want) || done.most() > 2 {
				t.Errorf("crash at boundary %d: handled are %v, one of them %d times, want %v, at most twice", p.boundary, got, done.most(), want)
			}
		})
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
// handled once, be it kept in Redis as it is completed or removed, and none that was
// rolled back is.
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
		done, committed := &handled{}, &handled{}
		defer work(t, queue.OpenConsumer, func(lease domain.Lease) bool {
			done.add(lease.Job.Data)
			return true
		})()
		crashEverywhere(t, 10, func(round int, p *process) {
			outbox := db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("crash-", round)})
			want := commitAndUndo(t, db, outbox, round, 3)
			isDone := func() bool { return done.haveAll(want) && rowsOf(t, db, outbox) == 0 }
			run := func(p *process) {
				relay := db.NewRelay(outbox, storage.RelayConfig{
					Queue: p.guard(queue), Lease: crashLease, Log: slog.New(slog.DiscardHandler),
				}).CrashAt(p.pass)
				relay.Start()
				eventually(t, "the relay crashes or is done", func() bool { return p.hasCrashed() || isDone() })
				relay.Stop(t.Context())
			}
			run(p)
			if p.hasCrashed() {
				run(&process{boundary: neverCrash})
			}
			for _, data := range want {
				committed.add([]byte(data))
			}
		})
		if got, want := done.distinct(), committed.distinct(); !slices.Equal(got, want) || done.most() != 1 {
			t.Errorf("handled are %v, one of them %d times, want %v, once", got, done.most(), want)
		}
	})
}
