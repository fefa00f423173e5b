package runner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Runner drives the runs of scheduled jobs and works queues.
type Runner struct {
	cfg     Config
	ports   Ports
	clock   *storeClock
	journal *journal

	scheduler *scheduler
	queues    []Queue

	mu        sync.Mutex
	state     State
	workers   []*worker
	triggers  uint64
	reserving context.CancelFunc
	living    context.CancelFunc
	// abort ends a start under way; started closes when it is over.
	abort   context.CancelFunc
	started chan struct{}
	hurried chan struct{}
	hurry   sync.Once
	// ended closes when a stop waits for nothing any more.
	ended    chan struct{}
	draining sync.WaitGroup
}

// State is how far a runner is in its life.
type State string

// The states of a runner, in order.
const (
	StateNew      State = "new"
	StateStarting State = "starting"
	StateRunning  State = "running"
	StateDraining State = "draining"
	StateStopped  State = "stopped"
)

// New returns a runner of the jobs and queues. It starts nothing. Names must
// have been checked by the caller; a runner without scheduled jobs needs no
// ledger, one without queues no consumer.
func New(cfg Config, p Ports, jobs []ScheduledJob, queues []Queue) (*Runner, error) {
	if cfg.Replica == "" {
		return nil, domain.Invalidf("new runner: replica name is empty")
	}
	clock := &storeClock{now: p.Now}
	r := &Runner{
		cfg: cfg.withDefaults(), ports: p, clock: clock, state: StateNew,
		queues: slices.Clone(queues), started: make(chan struct{}), hurried: make(chan struct{}), ended: make(chan struct{}),
	}
	r.journal = newJournal(cfg.Replica, p.Runs, p.Log, clock)
	if len(jobs) > 0 {
		r.scheduler = newScheduler(r, jobs)
	}
	return r, nil
}

// Start begins to tick and to work the queues, and returns when both do. It
// waits for stores that cannot be reached until ctx ends, and then returns
// the reason after having stopped what had started. A runner starts once:
// after a stop, or when a stop comes meanwhile, the error is [ErrStopping].
func (r *Runner) Start(ctx context.Context) error {
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	reserving, stopReserving := context.WithCancel(context.Background())
	living, stopLiving := context.WithCancel(context.Background())
	r.mu.Lock()
	if r.state != StateNew {
		r.mu.Unlock()
		stopReserving()
		stopLiving()
		return fmt.Errorf("start: %w", ErrStopping)
	}
	r.state = StateStarting
	r.abort, r.reserving, r.living = abort, stopReserving, stopLiving
	r.mu.Unlock()
	go r.journal.Run()
	err := r.start(ctx, reserving, living)
	close(r.started)

	r.mu.Lock()
	stopping := r.state != StateStarting
	if err == nil && !stopping {
		r.state = StateRunning
	}
	r.mu.Unlock()
	if stopping {
		return fmt.Errorf("start: %w", ErrStopping)
	}
	if err != nil {
		r.Stop(context.WithoutCancel(ctx), StopBudget{})
	}
	return err
}

func (r *Runner) start(ctx, reserving, living context.Context) error {
	for _, queue := range r.queues {
		consumer, err := r.ports.OpenConsumer(ports.ConsumerOptions{
			Queue: queue.Name, Worker: r.cfg.Replica, Lease: r.cfg.Timing.JobLease,
			Handles: slices.Sorted(maps.Keys(queue.Routes)),
		})
		if err != nil {
			return fmt.Errorf("open queue %s: %w", queue.Name, err)
		}
		w := newWorker(queue, consumer, r)
		r.mu.Lock()
		r.workers = append(r.workers, w)
		r.mu.Unlock()
		w.Start(reserving, living)
	}
	if r.scheduler == nil {
		r.appear(reserving)
		return nil
	}
	if err := r.scheduler.Register(ctx); err != nil {
		return err
	}
	r.appear(reserving)
	return r.scheduler.Start(living)
}

func (r *Runner) setState(state State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state
}

// Trigger runs a scheduled job now and waits for its end, or until ctx ends;
// the run then goes on. id makes the trigger repeatable: the same id runs the
// job once. An empty id is replaced by a new one. Errors are [ErrUnknownJob],
// [ErrDisabled], [ErrStopping], [domain.ErrInvalid] for an id that no job can
// have, ctx's, or those of the ledger.
func (r *Runner) Trigger(ctx context.Context, name, id string) (RunReport, error) {
	job, err := r.enabledJob(name)
	if err != nil {
		return RunReport{}, err
	}
	key := domain.RunKey{Job: name, Origin: domain.OriginManual, OriginID: id}
	if id == "" {
		key.OriginID, key.PlannedMS = r.newTriggerID(), r.clock.Now().UnixMilli()
	} else if err := key.JobID(r.cfg.Namespace).Validate(); err != nil {
		return RunReport{}, fmt.Errorf("trigger id %s: %w", domain.Quote(id), err)
	}
	return r.runNow(ctx, job, key)
}

// enabledJob returns the job of a name that may run here.
func (r *Runner) enabledJob(name string) (*jobState, error) {
	if r.scheduler == nil {
		return nil, fmt.Errorf("%w: the scheduler is off", ErrDisabled)
	}
	job := r.scheduler.jobs[name]
	switch {
	case job == nil:
		return nil, r.scheduler.unknownJob(name)
	case job.Disabled:
		return nil, fmt.Errorf("job %s: %w", domain.Quote(name), ErrDisabled)
	}
	return job, nil
}

// runNow begins a run that no tick made and waits for its end, or for ctx's.
func (r *Runner) runNow(ctx context.Context, job *jobState, key domain.RunKey) (RunReport, error) {
	started, report, err := r.scheduler.trigger(ctx, job, key)
	if err != nil || started == nil {
		return report, err
	}
	select {
	case <-started.done:
		return started.report, nil
	case <-ctx.Done():
		return RunReport{Run: key, Event: domain.EventClaimed}, ctx.Err()
	}
}

// newTriggerID is unique among all replicas, for it holds this one's name.
func (r *Runner) newTriggerID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.triggers++
	return r.cfg.Replica + "-" + strconv.FormatUint(r.triggers, 10)
}

// JobStatus is the live state of one scheduled job.
type JobStatus struct {
	Name string
	// Running counts the runs under way on this replica.
	Running int
	Paused  bool
	// Superseded tells that a newer definition is live elsewhere.
	Superseded bool
	// Next is the next tick, zero if there is none.
	Next time.Time
	// Cursor is the latest decided tick.
	Cursor time.Time
	Last   LastRun
	// LastTick is the latest tick this replica decided about, zero if none.
	LastTick time.Time
}

// Jobs returns the live state of all scheduled jobs by name.
func (r *Runner) Jobs() map[string]JobStatus {
	if r.scheduler == nil {
		return nil
	}
	return r.scheduler.status()
}

func (s *scheduler) status() map[string]JobStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]JobStatus, len(s.jobs))
	for name, job := range s.jobs {
		status := JobStatus{
			Name: name, Running: job.running, Paused: job.state.Paused, Superseded: job.state.Superseded,
			Cursor: job.state.Cursor, Last: job.last, LastTick: job.lastTick,
		}
		if cursor, ok := s.plannerOf(name).Cursor(name); ok && job.planned() {
			status.Cursor = cursor
			status.Next = job.Schedule.Next(cursor)
		}
		all[name] = status
	}
	return all
}

// Counts returns how often each decision was made since the start.
func (r *Runner) Counts() map[domain.Event]int { return r.journal.Counts() }
