package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// fleet is what the replicas of a test share: a ledger whose clock can be
// stepped and which can be out of reach, a queue, and the log.
type fleet struct {
	ledger *reachableLedger
	queue  *inmemqueue.Backend
	log    *tickLog
	origin time.Time
	skew   atomic.Int64
	timing runner.Timing
	// keeps is how many records the history keeps.
	keeps int
	// books are what the replicas recorded.
	books []*recordBook
	// shared is the history that they share instead, if they do.
	shared ports.RunStore
	// vanished is when replicas died without a trace.
	vanished map[string]time.Time
	// routes are the handlers of the queue "mail", if replicas work it.
	routes map[string]runner.Route
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{log: &tickLog{}, origin: time.Now()}
	f.ledger = &reachableLedger{Ledger: inmemqueue.NewLedger(inmemqueue.LedgerConfig{Now: f.now})}
	f.queue = inmemqueue.New(inmemqueue.Config{Now: time.Now})
	t.Cleanup(func() { _ = f.queue.Close() })
	return f
}

// now is the ledger's clock.
func (f *fleet) now() time.Time { return time.Now().Add(time.Duration(f.skew.Load())) }

func (f *fleet) step(d time.Duration) { f.skew.Add(int64(d)) }

// replica is one runner of the fleet with what it recorded.
type replica struct {
	*runner.Runner

	fleet *fleet
	book  *recordBook
	waker *tickWaker
}

// replica returns a runner of the jobs that has not started.
func (f *fleet) replica(t *testing.T, name string, jobs ...runner.ScheduledJob) *replica {
	t.Helper()
	return f.replicaOn(t, name, f.ledger, jobs...)
}

// replicaOn returns a runner with a ledger of its own choice.
func (f *fleet) replicaOn(t *testing.T, name string, ledger ports.Ledger, jobs ...runner.ScheduledJob) *replica {
	t.Helper()
	book := &recordBook{}
	f.books = append(f.books, book)
	waker := &tickWaker{changed: make(chan struct{}, 1), stopped: make(chan struct{})}
	for i := range jobs {
		if jobs[i].Fingerprint == "" {
			jobs[i].Fingerprint = "v1"
		}
	}
	var runs ports.RunStore = book
	if f.shared != nil {
		runs = f.shared
	}
	var queues []runner.Queue
	if f.routes != nil {
		queues = []runner.Queue{{Name: "mail", Concurrency: 1, Routes: f.routes}}
	}
	r, err := runner.New(runner.Config{Replica: name, DeployID: "deploy", Timing: f.timing, HistoryCount: f.keeps}, runner.Ports{
		OpenConsumer: f.openConsumer,

		Ledger:     ledger,
		Dispatcher: runner.NewDispatcher(ledger, f.queue, domain.DefaultNamespace, 15*time.Second),
		Waker:      waker,
		Runs:       runs,
		Log:        slog.New(f.log),
		Now:        time.Now,
		Dice:       func() float64 { return 0.5 },
	}, jobs, queues)
	if err != nil {
		t.Fatalf("New = %v, want a runner", err)
	}
	return &replica{Runner: r, fleet: f, book: book, waker: waker}
}

// start returns a replica that has started; it is stopped with the test.
func (f *fleet) start(t *testing.T, name string, jobs ...runner.ScheduledJob) *replica {
	t.Helper()
	r := f.replica(t, name, jobs...)
	r.mustStart(t)
	return r
}

func (r *replica) mustStart(t *testing.T) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("Start = %v, want no error", err)
	}
	t.Cleanup(func() { r.stop() })
}

var quickStop = runner.StopBudget{Drain: 10 * time.Second, Cancel: 3 * time.Second, Release: time.Second}

func (r *replica) stop() runner.StopReport {
	return r.Stop(context.Background(), quickStop)
}

// story returns what the replica recorded about the job, one line a record,
// such as "5s +5s claimed": when, which tick, and what happened. Times are
// counted from the start of the test.
func (r *replica) story(job string) []string {
	settle()
	return r.lines(job)
}

// settle gives the journal time to write what it gathered. The time is
// virtual: out of a bubble it panics.
func settle() {
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
}

// lines returns what the replica has written of the story by now.
func (r *replica) lines(job string) []string {
	var lines []string
	for _, record := range r.book.of(job) {
		lines = append(lines, r.fleet.line(&record))
	}
	return lines
}

// told returns the lines of the story that hold one of the words.
func (r *replica) told(job string, words ...string) []string {
	settle()
	return r.written(job, words...)
}

// written is told without the time to settle.
func (r *replica) written(job string, words ...string) []string {
	var lines []string
	for _, line := range r.lines(job) {
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (f *fleet) line(r *domain.Record) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %s", r.At.Sub(f.origin), f.run(r.Run), r.Event)
	if r.Attempt > 0 {
		fmt.Fprintf(&text, " #%d", r.Attempt)
	}
	if r.Late > 0 {
		fmt.Fprintf(&text, " late %s", r.Late)
	}
	if r.Wait > 0 {
		fmt.Fprintf(&text, " wait %s", r.Wait)
	}
	if r.Reason != "" {
		fmt.Fprintf(&text, " (%s)", r.Reason)
	}
	if r.By != "" {
		fmt.Fprintf(&text, " by %s", r.By)
	}
	return text.String()
}

func (f *fleet) run(key domain.RunKey) string {
	if key.Origin == domain.OriginSchedule {
		return "+" + key.Planned().Sub(f.origin).String()
	}
	return string(key.Origin) + ":" + key.OriginID
}

func wantStory(t *testing.T, r *replica, job string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.story(job)); diff != "" {
		t.Errorf("story of %s (-want +got):\n%s", job, diff)
	}
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// recordBook is a run store that keeps records as they come.
type recordBook struct {
	mu      sync.Mutex
	records []domain.Record
}

func (b *recordBook) Append(_ context.Context, records []domain.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, records...)
	return nil
}

// all returns the decisions.
func (b *recordBook) all() []domain.Record {
	return b.selected((*domain.Record).IsDecision)
}

// of returns the decisions about a job.
func (b *recordBook) of(job string) []domain.Record {
	return b.selected(func(r *domain.Record) bool { return r.Run.Job == job && r.IsDecision() })
}

// everything returns what is recorded of definitions and replicas, too.
func (b *recordBook) everything() []domain.Record {
	return b.selected(func(*domain.Record) bool { return true })
}

func (b *recordBook) selected(wanted func(*domain.Record) bool) []domain.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []domain.Record
	for i := range b.records {
		if wanted(&b.records[i]) {
			found = append(found, b.records[i])
		}
	}
	return found
}

// Query implements [ports.RunStore]; it knows nothing.
func (b *recordBook) Query(context.Context, domain.RunFilter) ([]domain.Record, error) {
	return nil, nil
}

// Prune implements [ports.RunStore].
func (b *recordBook) Prune(context.Context, domain.RunRetention, int) (int, error) { return 0, nil }

// tickLog collects log messages with their level.
type tickLog struct {
	mu    sync.Mutex
	lines []string
}

func (*tickLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (b *tickLog) Handle(_ context.Context, record slog.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := record.Level.String() + " " + record.Message
	record.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "count" {
			line += " " + attr.String()
		}
		return true
	})
	b.lines = append(b.lines, line)
	return nil
}

// WithAttrs implements [slog.Handler].
func (b *tickLog) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup implements [slog.Handler].
func (b *tickLog) WithGroup(string) slog.Handler { return b }

// count returns how many lines hold the words: level, message and, if there is
// one, the count.
func (b *tickLog) count(words string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, line := range b.lines {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

// reachableLedger is a ledger that can be out of reach.
type reachableLedger struct {
	*inmemqueue.Ledger

	mu   sync.Mutex
	down bool
	// lost names the calls that are out of reach while down; nil means all.
	lost []string
	// before is called before each call that gets through.
	before func(call string)
}

func (l *reachableLedger) cut(calls ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.lost = true, calls
}

// watch has fn called before each call that gets through.
func (l *reachableLedger) watch(fn func(call string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = fn
}

func (l *reachableLedger) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

func (l *reachableLedger) reach(call string) error {
	l.mu.Lock()
	down := l.down && (len(l.lost) == 0 || slices.Contains(l.lost, call))
	before := l.before
	l.mu.Unlock()
	if down {
		return fmt.Errorf("%s: %w", call, ports.ErrUnavailable)
	}
	if before != nil {
		before(call)
	}
	return nil
}

// Sync implements [ports.Ledger].
func (l *reachableLedger) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	if err := l.reach("sync"); err != nil {
		return domain.SyncReply{}, err
	}
	return l.Ledger.Sync(ctx, request)
}

// Claim implements [ports.Ledger].
func (l *reachableLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	if err := l.reach("claim"); err != nil {
		return nil, err
	}
	return l.Ledger.Claim(ctx, intents)
}

// Renew implements [ports.Ledger].
func (l *reachableLedger) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	if err := l.reach("renew"); err != nil {
		return nil, err
	}
	return l.Ledger.Renew(ctx, claims, lease)
}

// Finish implements [ports.Ledger].
func (l *reachableLedger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	if err := l.reach("finish"); err != nil {
		return nil, err
	}
	return l.Ledger.Finish(ctx, results)
}

// Abandoned implements [ports.Ledger].
func (l *reachableLedger) Abandoned(ctx context.Context, name string, lease time.Duration, limit int) ([]domain.Claim, error) {
	if err := l.reach("abandoned"); err != nil {
		return nil, err
	}
	return l.Ledger.Abandoned(ctx, name, lease, limit)
}

// tickWaker is a waker on a timer.
type tickWaker struct {
	changed chan struct{}
	stopped chan struct{}
	loop    sync.WaitGroup

	mu    sync.Mutex
	due   time.Time
	ended bool
	wakes int
}

// Start implements [ports.Waker].
func (w *tickWaker) Start(wake func()) error {
	w.loop.Go(func() {
		for {
			var timer <-chan time.Time
			if d, ok := w.left(); ok {
				timer = time.After(d)
			}
			select {
			case <-w.stopped:
				return
			case <-w.changed:
			case <-timer:
				w.disarm()
				wake()
			}
		}
	})
	return nil
}

func (w *tickWaker) left() (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Until(w.due), !w.due.IsZero()
}

func (w *tickWaker) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Time{}
	w.wakes++
}

func (w *tickWaker) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wakes
}

// Arm implements [ports.Waker].
func (w *tickWaker) Arm(d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return ports.ErrClosed
	}
	w.due = time.Now().Add(d)
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return nil
}

// Stop implements [ports.Waker].
func (w *tickWaker) Stop(context.Context) error {
	w.mu.Lock()
	if !w.ended {
		w.ended = true
		close(w.stopped)
	}
	w.mu.Unlock()
	w.loop.Wait()
	return nil
}

// runFunc is the function of a scheduled job.
type runFunc func(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error)

// HandleRun implements [ports.ScheduledHandler].
func (f runFunc) HandleRun(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error) {
	return f(ctx, run, attempt)
}

// takes returns a handler that works for d unless its context ends.
func takes(d time.Duration) runFunc {
	return func(ctx context.Context, _ domain.RunKey, _ int) ([]byte, error) {
		if d == 0 {
			return nil, nil
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fails returns a handler that fails at once.
func fails(text string) runFunc {
	return func(context.Context, domain.RunKey, int) ([]byte, error) { return nil, errors.New(text) }
}

// makes returns a handler that makes the payload.
func makes(payload string) runFunc {
	return func(context.Context, domain.RunKey, int) ([]byte, error) { return []byte(payload), nil }
}

// every returns a schedule without phase.
func every(t *testing.T, interval time.Duration) schedule.Schedule {
	t.Helper()
	s, err := schedule.NewEvery(interval, 0)
	if err != nil {
		t.Fatalf("NewEvery(%s) = %v, want a schedule", interval, err)
	}
	return s
}

// tickJob returns a job that is due every interval.
func tickJob(t *testing.T, name string, interval time.Duration, handler runFunc) runner.ScheduledJob {
	t.Helper()
	return runner.ScheduledJob{Name: name, Schedule: every(t, interval), Handler: handler}
}

// manualJob returns a job without schedule.
func manualJob(name string, handler runFunc) runner.ScheduledJob {
	return runner.ScheduledJob{Name: name, Handler: handler}
}

// waitUntil lets virtual time pass until the origin plus d.
func (f *fleet) waitUntil(d time.Duration) { time.Sleep(time.Until(f.origin.Add(d))) }
