package runner

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

const (
	// journalLimit bounds the records that wait for the store, journalBytes
	// what their reasons, stacks and fields take. Ten thousand runs that begin
	// at one instant have room.
	journalLimit = 32768
	journalBytes = 8 << 20
	// journalCrowded is how many waiting records leave no time for anything else:
	// the newest would soon be shed.
	journalCrowded = journalLimit / 2
	// journalKept is the most records for which a list is kept to be used again, those
	// of 5,000 runs that begin at one instant each second; and what append made of it.
	journalKept = 20000
	// journalBatch is the largest number of records in one append: stores
	// write many at once with much less work than one by one.
	journalBatch = 4096
	// journalPause lets records gather before they are appended, unless
	// journalEnough are there already.
	journalPause  = 50 * time.Millisecond
	journalEnough = journalBatch
	// journalBusy is how many records in one pause make the next one longer,
	// journalPauseBusy: what an append costs by itself is shared by more.
	journalBusy      = 512
	journalPauseBusy = 200 * time.Millisecond
	// journalRetry is the wait after a failed append, journalSlow how long one
	// may take before that is told.
	journalRetry = time.Second
	journalSlow  = 10 * time.Second
)

// journal is where every decision goes: it is counted, logged and kept. One
// place for all three means that no decision can be silent.
type journal struct {
	replica string
	store   ports.RunStore
	log     *slog.Logger
	clock   *storeClock
	// claiming is shut while many claims are made.
	claiming *gate

	mu      sync.Mutex
	latest  time.Time
	counts  map[domain.Event]int
	pending []domain.Record
	// spare is an empty list to go on with while a taken one is appended.
	spare []domain.Record
	// taken counts the records that were taken and are not appended yet.
	taken int
	// bytes is what reasons, stacks and fields of all of these take.
	bytes int
	shed  int
	// busy tells that the latest records came fast; Run alone looks at it.
	busy bool

	wake    chan struct{}
	enough  chan struct{}
	crowded chan struct{}
	// living ends when the loop is to write what is left, flushing when it is
	// to give up on that.
	living, flushing      context.Context //nolint:containedctx // they last as long as the journal, not as a call
	stopLiving, stopFlush context.CancelFunc
	done                  chan struct{}
}

func newJournal(replica string, store ports.RunStore, log *slog.Logger, clock *storeClock) *journal {
	j := &journal{
		replica: replica, store: store, log: log, clock: clock, claiming: new(gate),
		counts:  map[domain.Event]int{},
		wake:    make(chan struct{}, 1),
		enough:  make(chan struct{}, 1),
		crowded: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	j.living, j.stopLiving = context.WithCancel(context.Background())
	j.flushing, j.stopFlush = context.WithCancel(context.Background())
	return j
}

// Record takes in decisions. It does not block; when the store is so far
// behind that a record finds no room among those that wait, it is shed and counted.
func (j *journal) Record(records ...domain.Record) {
	if len(records) == 0 {
		return
	}
	j.keepAll(records)
	j.logRecords(records)
}

// note is Record for one record, which it stamps.
func (j *journal) note(r *domain.Record) {
	now := j.clock.Now()
	j.mu.Lock()
	j.keep(r, j.tick(now))
	j.wakeUp()
	j.mu.Unlock()
	j.logRecord(r)
}

// keepAll stamps and counts the records, and keeps those for which there is room.
func (j *journal) keepAll(records []domain.Record) {
	now := j.clock.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	now = j.tick(now)
	for i := range records {
		j.keep(&records[i], now)
	}
	j.wakeUp()
}

// keep stamps and counts the record, and keeps it if there is room; it is called
// with mu held.
func (j *journal) keep(r *domain.Record, now time.Time) {
	j.stamp(r, now)
	if r.IsDecision() {
		j.counts[r.Event]++
	}
	if j.store == nil {
		return
	}
	size := recordSize(r)
	if len(j.pending)+j.taken >= journalLimit || j.bytes+size > journalBytes {
		j.shed++
		return
	}
	j.bytes += size
	j.pending = append(j.pending, *r)
}

// Offer takes in the records, none of them a decision, if there is room for all
// of them and for as many decisions. It reports whether it did. It does not block,
// and logs nothing.
func (j *journal) Offer(records []domain.Record) bool {
	now := j.clock.Now()
	bytes := 0
	for i := range records {
		bytes += recordSize(&records[i])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now = j.tick(now)
	for i := range records {
		j.stamp(&records[i], now)
	}
	if j.store == nil {
		return true
	}
	if len(j.pending)+j.taken+len(records) > journalLimit/2 || j.bytes+bytes > journalBytes/2 {
		return false
	}
	j.bytes += bytes
	j.pending = append(j.pending, records...)
	j.wakeUp()
	return true
}

// stamp says in the record who made it, and when.
func (j *journal) stamp(r *domain.Record, now time.Time) { r.At, r.Replica = now, j.replica }

// wakeUp has Run append the records that wait; it is called with mu held.
func (j *journal) wakeUp() {
	if j.store == nil {
		return
	}
	signal(j.wake)
	if j.isEnough() {
		signal(j.enough)
	}
	if len(j.pending) >= journalCrowded {
		signal(j.crowded)
	}
}

// isEnough reports whether what waits is appended without a pause; it is called with
// mu held.
func (j *journal) isEnough() bool {
	return len(j.pending) >= journalEnough || j.bytes >= journalBytes/4
}

// recordSize returns what the record's texts without bounds of their own take.
func recordSize(r *domain.Record) int {
	size := len(r.Reason) + len(r.Stack)
	for _, f := range r.Fields {
		size += len(f.Path) + len(f.Value)
	}
	return size
}

// tick returns the time, but never one before the latest: after a step of the
// store's clock the history stays in the order in which things happened. It is
// called with mu held.
func (j *journal) tick(now time.Time) time.Time {
	if now.After(j.latest) {
		j.latest = now
	}
	return j.latest
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
		j.gather()
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
	return len(j.pending) + j.taken + j.shed
}

// gather gives records time to become many, and lets claims go first while there
// is room.
func (j *journal) gather() {
	pause := journalPause
	if j.busy {
		pause = journalPauseBusy
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-j.living.Done():
	case <-j.enough:
	case <-timer.C:
	}
	j.claiming.awaitUnless(j.living, j.crowded)
}

// drain appends the pending records and reports whether the store took them. What
// comes meanwhile may gather, unless it is enough or the journal is stopped: then
// it is appended, too. An append that is under way at that time goes on.
func (j *journal) drain(failing *outage) bool {
	for {
		taken := j.take()
		if len(taken) == 0 {
			return true
		}
		left, err := j.append(taken)
		j.giveBack(taken, left)
		j.tell(failing, err)
		if err != nil {
			return false
		}
		if j.living.Err() == nil && j.mayGather() {
			return true
		}
	}
}

// mayGather reports whether what waits may wait for more.
func (j *journal) mayGather() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.isEnough()
}

// append appends the records in batches and returns those that the store did
// not take. One that it can never keep is left out: it must not hold up the rest.
func (j *journal) append(records []domain.Record) (left []domain.Record, err error) {
	size := journalBatch
	for len(records) > 0 {
		batch := records[:min(len(records), size)]
		err := j.appendBatch(batch)
		switch {
		case err == nil:
			size = min(2*size, journalBatch)
		case !errors.Is(err, domain.ErrInvalid):
			return records, err
		case len(batch) > 1:
			size = len(batch) / 2
			continue
		default:
			j.log.ErrorContext(j.flushing, "run record lost: it cannot be stored", "event", string(batch[0].Event), "err", err)
		}
		records = records[len(batch):]
	}
	return nil, nil
}

func (j *journal) appendBatch(batch []domain.Record) error {
	slow := time.AfterFunc(journalSlow, func() {
		j.log.WarnContext(j.flushing, "run records wait: their store does not answer", "waiting", j.waiting())
	})
	defer slow.Stop()
	return j.store.Append(j.flushing, batch)
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

// take takes all records that wait.
func (j *journal) take() []domain.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	taken := j.pending
	if len(taken) > 0 {
		j.busy = len(taken) >= journalBusy
	}
	j.pending, j.spare, j.taken = j.spare[:0], nil, len(taken)
	select {
	case <-j.crowded:
	default:
	}
	return taken
}

// giveBack returns the list that was taken, with the records that are left
// to append; they go before those that came since.
func (j *journal) giveBack(taken, left []domain.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.taken = 0
	for i := range taken[:len(taken)-len(left)] {
		j.bytes -= recordSize(&taken[i])
	}
	if len(left) > 0 {
		j.pending = append(slices.Clone(left), j.pending...)
	}
	if cap(taken) <= journalKept {
		clear(taken)
		j.spare = taken
	}
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
