package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// plan says what to simulate.
type plan struct {
	seed     uint64
	start    time.Time
	lasts    time.Duration
	jobs     int
	replicas int
	timing   runner.Timing
	stagger  time.Duration
	mutant   mutant
}

// mutant breaks something on purpose. Nil fields break nothing.
type mutant struct {
	job        func(*runner.ScheduledJob)
	ledger     func(ports.Ledger) ports.Ledger
	dispatcher func(ports.Dispatcher, ports.Enqueuer) ports.Dispatcher
	runs       func(ports.RunStore) ports.RunStore
}

// world is a fleet under simulation and the ledgers of what happened in it.
type world struct {
	plan
	specs   []spec
	ledger  *inmemqueue.Ledger
	queue   *inmemqueue.Backend
	runners []*runner.Runner
	links   []*link
	// offset is the ledger's clock minus the bubble's.
	offset atomic.Int64
	// down tells that the ledger is out of reach.
	down atomic.Bool

	mu      sync.Mutex
	records []domain.Record
	calls   map[domain.RunKey][]string
	busy    map[string]int
	worked  map[domain.JobID]int
	manual  map[string][]time.Time
}

// now is the ledger's clock.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// build makes the world; it has to be called in a bubble.
func build(t *testing.T, p plan) *world {
	t.Helper()
	w := &world{
		plan: p, calls: map[domain.RunKey][]string{}, busy: map[string]int{},
		worked: map[domain.JobID]int{}, manual: map[string][]time.Time{},
	}
	w.offset.Store(int64(time.Until(p.start)))
	w.specs = makeSpecs(t, rand.New(rand.NewPCG(p.seed, 1)), p.jobs, p.start)
	w.ledger = inmemqueue.NewLedger(inmemqueue.LedgerConfig{Now: w.now, ReplicaLease: 10 * time.Minute})
	w.queue = inmemqueue.New(inmemqueue.Config{Now: time.Now})
	for i := range p.replicas {
		w.runners = append(w.runners, w.replica(t, fmt.Sprint("replica-", i)))
	}
	return w
}

func (w *world) replica(t *testing.T, name string) *runner.Runner {
	t.Helper()
	way := &link{world: w}
	w.links = append(w.links, way)
	var ledger ports.Ledger = way
	if w.mutant.ledger != nil {
		ledger = w.mutant.ledger(ledger)
	}
	dispatcher := runner.NewDispatcher(ledger, w.queue, domain.DefaultNamespace, w.timing.ClaimLease)
	if w.mutant.dispatcher != nil {
		dispatcher = w.mutant.dispatcher(dispatcher, w.queue)
	}
	var runs ports.RunStore = w
	if w.mutant.runs != nil {
		runs = w.mutant.runs(runs)
	}
	log := slog.New(slog.DiscardHandler)
	r, err := runner.New(runner.Config{Replica: name, Timing: w.timing}, runner.Ports{
		Ledger: ledger, Dispatcher: dispatcher, Waker: cron.New(log), OpenConsumer: w.queue.OpenConsumer,
		Runs: runs, Log: log, Now: time.Now, Dice: func() float64 { return drawn },
	}, w.jobs(), []runner.Queue{{Name: mailQueue, Concurrency: 4, Routes: map[string]runner.Route{"send": {Handler: w}}}})
	if err != nil {
		t.Fatalf("New = %v, want a runner", err)
	}
	return r
}

func (w *world) jobs() []runner.ScheduledJob {
	jobs := make([]runner.ScheduledJob, len(w.specs))
	for i := range w.specs {
		s := &w.specs[i]
		jobs[i] = runner.ScheduledJob{
			Name: s.name, Schedule: s.schedule, Fingerprint: "v1", Policy: s.policy, Misfire: s.misfire,
			Handler: scheduled{world: w, spec: s},
		}
		if s.queued {
			jobs[i].Target = domain.Target{Queue: mailQueue, JobName: "send", Options: domain.JobOptions{KeepCompleted: domain.KeepNone()}}
		}
		if w.mutant.job != nil {
			w.mutant.job(&jobs[i])
		}
	}
	return jobs
}

// scheduled is the function of a scheduled job.
type scheduled struct {
	world *world
	spec  *spec
}

var errFate = errors.New("as fate would have it")

// HandleRun implements [ports.ScheduledHandler].
func (s scheduled) HandleRun(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error) {
	w, c, began := s.world, s.spec.conductOf(s.world.seed, run, attempt), s.world.now()
	w.mu.Lock()
	w.busy[run.Job]++
	if w.busy[run.Job] > 1 && s.spec.policy.Overlap != domain.OverlapAllow {
		w.calls[run] = append(w.calls[run], "overlaps with another run")
	}
	w.mu.Unlock()
	timer := time.NewTimer(c.takes)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
		err = map[fate]error{fails: errFate, failsForGood: domain.Permanent(errFate), hasNothingToDo: domain.Skip("nothing")}[c.fate]
	case <-ctx.Done():
		err = ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[run.Job]--
	w.calls[run] = append(w.calls[run], fmt.Sprint(stamp(began), " to ", stamp(w.now()), " #", attempt))
	return nil, err
}

// Handle implements [ports.Handler]: it works the jobs that runs queued.
func (w *world) Handle(_ context.Context, job *domain.Job) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worked[job.ID]++
	return nil, nil
}

// Append implements [ports.RunStore].
func (w *world) Append(_ context.Context, records []domain.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, record := range records {
		if record.IsDecision() {
			w.records = append(w.records, record)
		}
	}
	return nil
}

// Query implements [ports.RunStore]; nobody asks.
func (*world) Query(context.Context, domain.RunFilter) ([]domain.Record, error) { return nil, nil }

// Prune implements [ports.RunStore].
func (*world) Prune(context.Context, domain.RunRetention, int) (int, error) { return 0, nil }

// link is the way of one replica to the ledger.
type link struct {
	*world

	cut atomic.Bool
}

func (l *link) reach() error {
	if l.down.Load() || l.cut.Load() {
		return ports.ErrUnavailable
	}
	return nil
}

// Sync implements [ports.Ledger].
func (l *link) Sync(ctx context.Context, request domain.SyncRequest) (domain.SyncReply, error) {
	if err := l.reach(); err != nil {
		return domain.SyncReply{}, err
	}
	return l.ledger.Sync(ctx, request)
}

// Claim implements [ports.Ledger].
func (l *link) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	if err := l.reach(); err != nil {
		return nil, err
	}
	return l.ledger.Claim(ctx, intents)
}

// Renew implements [ports.Ledger].
func (l *link) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	if err := l.reach(); err != nil {
		return nil, err
	}
	return l.ledger.Renew(ctx, claims, lease)
}

// Finish implements [ports.Ledger].
func (l *link) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	if err := l.reach(); err != nil {
		return nil, err
	}
	return l.ledger.Finish(ctx, results)
}

// Abandoned implements [ports.Ledger].
func (l *link) Abandoned(ctx context.Context, replica string, lease time.Duration, limit int) ([]domain.Claim, error) {
	if err := l.reach(); err != nil {
		return nil, err
	}
	return l.ledger.Abandoned(ctx, replica, lease, limit)
}

// run starts the fleet, lets the time pass while meddle meddles, and stops it.
// Like build it has to be called in a bubble.
func (w *world) run(t *testing.T, meddle func(*rand.Rand)) {
	t.Helper()
	for _, r := range w.runners {
		// The replicas' beats must not coincide with one another or a tick.
		time.Sleep(w.stagger)
		if err := r.Start(t.Context()); err != nil {
			t.Fatalf("Start = %v, want no error", err)
		}
	}
	began := time.Now()
	var hands sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range w.specs {
		if w.specs[i].schedule == nil {
			hands.Go(func() { w.triggerByHand(ctx, &w.specs[i]) })
		}
	}
	dice := rand.New(rand.NewPCG(w.seed, 2))
	for meddle != nil && time.Since(began) < w.lasts {
		meddle(dice)
	}
	time.Sleep(w.lasts - time.Since(began))
	synctest.Wait()
	cancel()
	hands.Wait()
	for _, r := range w.runners {
		r.Stop(context.Background(), runner.StopBudget{Drain: time.Hour, Cancel: time.Second, Release: time.Second})
	}
	if err := w.queue.Close(); err != nil {
		t.Errorf("Close = %v, want no error", err)
	}
}

// triggerByHand triggers the job now and then, each time between two ticks.
func (w *world) triggerByHand(ctx context.Context, s *spec) {
	dice := rand.New(rand.NewPCG(w.seed, domain.Hash(s.name)))
	var runs sync.WaitGroup
	defer runs.Wait()
	for n := 0; ; n++ {
		timer := time.NewTimer(time.Duration(1+dice.IntN(7200))*time.Second + time.Duration(dice.IntN(1000))*time.Microsecond*1000)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		w.mu.Lock()
		w.manual[s.name] = append(w.manual[s.name], w.now())
		w.mu.Unlock()
		runs.Go(func() { _, _ = w.runners[n%len(w.runners)].Trigger(ctx, s.name, fmt.Sprint("hand-", n)) })
	}
}
