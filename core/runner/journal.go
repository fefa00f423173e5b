package runner

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	// journalLimit bounds the records that wait for the store.
	journalLimit = 8192
	// journalBatch is the largest number of records in one append.
	journalBatch = 512
	// journalPause lets records gather before they are appended.
	journalPause = 50 * time.Millisecond
	// journalRetry is the wait after a failed append.
	journalRetry = time.Second
)

// journal is where every decision goes: it is counted, logged and kept. One
// place for all three means that no decision can be silent.
type journal struct {
	replica string
	store   ports.RunStore
	log     *slog.Logger
	clock   *storeClock

	mu      sync.Mutex
	counts  map[domain.Event]int
	pending []domain.Record
	shed    int

	wake chan struct{}
	// living ends when the loop is to write what is left, flushing when it is
	// to give up on that.
	living, flushing      context.Context //nolint:containedctx // they last as long as the journal, not as a call
	stopLiving, stopFlush context.CancelFunc
	done                  chan struct{}
}

func newJournal(replica string, store ports.RunStore, log *slog.Logger, clock *storeClock) *journal {
	j := &journal{
		replica: replica, store: store, log: log, clock: clock,
		counts: map[domain.Event]int{},
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	j.living, j.stopLiving = context.WithCancel(context.Background())
	j.flushing, j.stopFlush = context.WithCancel(context.Background())
	return j
}

// Record takes in decisions. It does not block; when the store is so far
// behind that too many records wait, the newest are shed and counted.
func (j *journal) Record(records ...domain.Record) {
	now := j.clock.Now()
	for i := range records {
		records[i].At = now
		records[i].Replica = j.replica
		j.logRecord(&records[i])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range records {
		j.counts[records[i].Event]++
	}
	if j.store == nil {
		return
	}
	room := max(journalLimit-len(j.pending), 0)
	taken := min(room, len(records))
	j.pending = append(j.pending, records[:taken]...)
	j.shed += len(records) - taken
	signal(j.wake)
}

// Counts returns how often each decision was made since the start.
func (j *journal) Counts() map[domain.Event]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.counts)
}

// Run appends records to the store until [journal.Stop], and then what is
// left.
func (j *journal) Run() {
	defer close(j.done)
	var failing outage
	for j.living.Err() == nil {
		select {
		case <-j.living.Done():
			continue
		case <-j.wake:
		}
		wait(j.living, journalPause)
		if !j.drain(&failing) {
			wait(j.living, journalRetry)
			signal(j.wake)
		}
	}
	for !j.drain(&failing) {
		if !wait(j.flushing, journalPause) {
			break
		}
	}
	if left := j.waiting(); left > 0 {
		j.log.ErrorContext(j.flushing, "run records lost: the store did not take them in time", "count", left)
	}
}

// Stop makes Run write what is left, for limit at most, and waits for its end.
func (j *journal) Stop(limit time.Duration) {
	j.stopLiving()
	within(j.done, limit)
	j.stopFlush()
	<-j.done
}

func (j *journal) waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pending) + j.shed
}

// drain appends all pending records and reports whether the store took them.
// An append that is under way when the journal is stopped goes on.
func (j *journal) drain(failing *outage) bool {
	for {
		batch := j.take()
		if len(batch) == 0 {
			return true
		}
		err := j.store.Append(j.flushing, batch)
		if err != nil {
			j.giveBack(batch)
		}
		j.tell(failing, err)
		if err != nil {
			return false
		}
	}
}

// tell reports records that were shed or not stored, once a second at most.
func (j *journal) tell(failing *outage, err error) {
	j.mu.Lock()
	waiting, shed := len(j.pending), j.shed
	j.mu.Unlock()
	if err == nil && shed == 0 {
		return
	}
	if _, report := failing.failed(j.clock.now()); !report {
		return
	}
	j.mu.Lock()
	j.shed -= shed
	j.mu.Unlock()
	j.log.WarnContext(context.Background(), "run records not stored", "waiting", waiting, "shed", shed, "err", err)
}

func (j *journal) take() []domain.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(len(j.pending), journalBatch)
	batch := slices.Clone(j.pending[:n])
	j.pending = slices.Delete(j.pending, 0, n)
	return batch
}

func (j *journal) giveBack(batch []domain.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = append(batch, j.pending...)
}

// wait returns after d or when ctx ends; it reports whether d passed.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
