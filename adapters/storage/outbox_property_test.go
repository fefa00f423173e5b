package storage_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Whatever goes wrong, and however relays come and go: what was committed gets to
// its queue once and in order, and nothing else does.
func TestOutbox_property(t *testing.T) {
	onBoth(t, func(t *testing.T, db *storage.DB) {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { playOutbox(t, db, seed) })
		}
	})
}

// play is one run of the property: a producer, and relays that come and go.
type play struct {
	t      *testing.T
	db     *storage.DB
	outbox *storage.Outbox
	queue  *recorder
	// want are the payloads that were committed, by queue.
	want map[domain.QueueName][]string

	mu   sync.Mutex
	dice *rand.Rand
	// calm ends the faults.
	calm bool
}

func playOutbox(t *testing.T, db *storage.DB, seed uint64) {
	t.Helper()
	p := &play{
		t: t, db: db, outbox: db.Outbox(storage.OutboxConfig{Namespace: fmt.Sprint("seed-", seed)}),
		want: make(map[domain.QueueName][]string), dice: rand.New(rand.NewPCG(seed, 5)),
	}
	p.queue = &recorder{before: func([]domain.NewJob) error { return p.fault() }, after: func([]domain.NewJob) error { return p.fault() }}
	relays := []*storage.Relay{p.start(), p.start()}
	total := 0
	for range 12 {
		total += p.produce()
		if p.chance(4) {
			// A relay that is stopped in the middle of something, and another one.
			i := p.dieBelow(len(relays))
			relays[i].Stop(t.Context())
			relays[i] = p.start()
		}
	}
	p.mu.Lock()
	p.calm = true
	p.mu.Unlock()
	p.queue.await(t, total)
	for _, relay := range relays {
		relay.Stop(t.Context())
	}
	relayUntil(t, db, p.outbox, p.queue, total)
	for queue, want := range p.want {
		if got := p.queue.data(queue); !slices.Equal(got, want) {
			t.Errorf("queue %s got %v, want %v", queue, got, want)
		}
	}
	if got := len(p.queue.all()); got != total {
		t.Errorf("%d jobs got there, want the %d that were committed", got, total)
	}
}

func (p *play) start() *storage.Relay {
	relay := p.db.NewRelay(p.outbox, storage.RelayConfig{
		Queue: p.queue, Lease: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}).WithFault(p.fault)
	relay.Start()
	return relay
}

// produce commits or rolls back a transaction of some jobs on some queues, and
// returns how many were committed.
func (p *play) produce() int {
	p.t.Helper()
	tx, err := p.db.Bun().BeginTx(p.t.Context(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	jobs := make([]domain.NewJob, 1+p.dieBelow(30))
	for i := range jobs {
		queue := domain.QueueName(fmt.Sprint("queue-", p.dieBelow(3)))
		jobs[i] = domain.NewJob{Queue: queue, Name: "n", Data: fmt.Append(nil, p.dieBelow(1<<30))}
	}
	if err := p.outbox.Enqueue(p.t.Context(), storage.BunTx(tx), jobs...); err != nil {
		p.t.Fatalf("Enqueue = %v, want no error", err)
	}
	if p.chance(3) {
		return 0
	}
	if err := tx.Commit(); err != nil {
		p.t.Fatal(err)
	}
	for _, job := range jobs {
		p.want[job.Queue] = append(p.want[job.Queue], string(job.Data))
	}
	return len(jobs)
}

// fault is an error now and then.
func (p *play) fault() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calm || p.dice.IntN(6) > 0 {
		return nil
	}
	return []error{ports.ErrUnavailable, ports.ErrQueueFull, errors.New("broken")}[p.dice.IntN(3)]
}

// chance is true once in so many times.
func (p *play) chance(times int) bool { return p.dieBelow(times) == 0 }

func (p *play) dieBelow(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dice.IntN(n)
}
