package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// Errors of [SchedulerService].
var (
	// ErrNotStarted says that the worker has not begun to start.
	ErrNotStarted = errors.New("worker is not started")
	// ErrQueueingOff says that the worker has no queues.
	ErrQueueingOff = errors.New("queueing is off")
	// ErrUnknownQueue says that no feature declares the queue.
	ErrUnknownQueue = errors.New("unknown queue")
)

// RunReport is what became of a triggered run.
type RunReport = runner.RunReport

// SchedulerService lists and triggers scheduled jobs, enqueues queue jobs, and
// looks into history and queues. Features are given one and may keep it;
// handlers may use it, and start hooks all of it but TriggerNow; constructors may
// not: before the worker starts all methods but ListJobs return
// [ErrNotStarted]. It is safe for concurrent use.
type SchedulerService struct{ engine atomic.Pointer[engine] }

func (s *SchedulerService) started() (*engine, error) {
	e := s.engine.Load()
	if e == nil || !e.begun.Load() {
		return nil, ErrNotStarted
	}
	return e, nil
}

// ListJobs returns all scheduled jobs by name, or none before the worker is
// built.
func (s *SchedulerService) ListJobs() []JobInfo {
	e := s.engine.Load()
	if e == nil {
		return nil
	}
	return e.listJobs()
}

// TriggerNow runs the scheduled job now and waits for its end; when ctx ends
// before, the run goes on. The report says what happened, also when the run
// was skipped. Errors are [runner.ErrUnknownJob], [runner.ErrDisabled],
// [runner.ErrStopping] and ErrNotStarted.
func (s *SchedulerService) TriggerNow(ctx context.Context, name string) (RunReport, error) {
	e, err := s.started()
	if err != nil {
		return RunReport{}, err
	}
	if !e.driven.Load() {
		return RunReport{}, ErrNotStarted
	}
	return e.runner.Trigger(ctx, name, "")
}

// Backfill runs a past tick of the scheduled job now and waits for its end;
// when ctx ends before, the run goes on. Under one id each tick runs once. It
// is [runner.Runner.Backfill]; errors are its own and ErrNotStarted.
func (s *SchedulerService) Backfill(ctx context.Context, name, id string, planned time.Time) (RunReport, error) {
	e, err := s.started()
	if err != nil {
		return RunReport{}, err
	}
	if !e.driven.Load() {
		return RunReport{}, ErrNotStarted
	}
	return e.runner.Backfill(ctx, name, id, planned)
}

// Enqueue puts a job on a declared queue; an empty queue is the default one.
// data is marshalled as JSON. At most one options is given. Errors are
// [ErrQueueingOff], [ErrUnknownQueue], ErrNotStarted, [domain.ErrInvalid], and
// those of [ports.Enqueuer].
func (s *SchedulerService) Enqueue(ctx context.Context, queue, name string, data any, options ...domain.JobOptions) (domain.EnqueueResult, error) { //nolint:revive // the reference's arguments, and a context
	job, err := newJob(queue, name, data, options)
	if err != nil {
		return domain.EnqueueResult{}, err
	}
	results, err := s.EnqueueAll(ctx, job)
	if err != nil {
		return domain.EnqueueResult{}, err
	}
	return results[0], nil
}

// newJob returns the job with data as JSON.
func newJob(queue, name string, data any, options []domain.JobOptions) (domain.NewJob, error) {
	payload, err := json.Marshal(data)
	if err != nil {
		return domain.NewJob{}, domain.Invalidf("enqueue: encode data of type %T: %w", data, err)
	}
	job := domain.NewJob{Queue: domain.QueueName(queue), Name: name, Data: payload}
	switch len(options) {
	case 0:
	case 1:
		job.Options = options[0]
	default:
		return domain.NewJob{}, domain.Invalidf("enqueue: %d options for one job", len(options))
	}
	return job, nil
}

// EnqueueAll puts many jobs on declared queues in one call, which is much
// faster than one by one, and answers each, in order. The payloads are JSON;
// the queues keep them. Nothing is enqueued when it returns an error; errors
// are as for [SchedulerService.Enqueue].
func (s *SchedulerService) EnqueueAll(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	e, err := s.started()
	if err != nil {
		return nil, err
	}
	if jobs, err = e.addressed(jobs); err != nil {
		return nil, err
	}
	return e.stores.enqueuer.Enqueue(ctx, jobs...)
}

// addressed returns the jobs with the default queue in place of none, if all of
// them are JSON for declared queues.
func (e *engine) addressed(jobs []domain.NewJob) ([]domain.NewJob, error) {
	if byDefault := func(j domain.NewJob) bool { return j.Queue == "" }; slices.ContainsFunc(jobs, byDefault) {
		jobs = slices.Clone(jobs)
		for i := range jobs {
			setDefault(&jobs[i].Queue, domain.QueueName(e.settings.DefaultQueue))
		}
	}
	var declared domain.QueueName
	for i := range jobs {
		if !json.Valid(jobs[i].Data) {
			return nil, domain.Invalidf("enqueue: job %s: its data is not JSON", domain.Quote(jobs[i].Name))
		}
		if jobs[i].Queue == declared {
			continue
		}
		declared = jobs[i].Queue
		if e.settings.Queueing() && !e.registry.known[string(declared)] {
			return nil, fmt.Errorf("enqueue: %w: %s", ErrUnknownQueue, e.registry.undeclared(string(declared)))
		}
	}
	return jobs, nil
}

// PauseJob stops the ticks of a scheduled job for all that share the ledger,
// within the interval in which they ask it for news; runs under way go on, and
// triggers still run the job. Errors are [runner.ErrUnknownJob], ErrNotStarted and
// those of [ports.ScheduleSwitch].
func (s *SchedulerService) PauseJob(ctx context.Context, name string) error {
	return s.toggle(ctx, name, ports.ScheduleSwitch.PauseJob)
}

// ResumeJob ends a pause: the job ticks from now on. Errors are those of
// [SchedulerService.PauseJob].
func (s *SchedulerService) ResumeJob(ctx context.Context, name string) error {
	return s.toggle(ctx, name, ports.ScheduleSwitch.ResumeJob)
}

func (s *SchedulerService) toggle(ctx context.Context, name string, do jobSwitch) error {
	e, err := s.started()
	if err != nil {
		return err
	}
	return switchIn(ctx, e.stores.switches, name, do)
}

// jobSwitch is one of the methods of [ports.ScheduleSwitch].
type jobSwitch func(ports.ScheduleSwitch, context.Context, string) error

func switchIn(ctx context.Context, switches ports.ScheduleSwitch, name string, do jobSwitch) error {
	err := do(switches, ctx, name)
	if errors.Is(err, ports.ErrNotFound) {
		return fmt.Errorf("%w %s", runner.ErrUnknownJob, domain.Quote(name))
	}
	return err
}

// Runs returns the records of runs and jobs that the filter selects, newest
// first. A record is written within a moment of its decision. Errors are
// ErrNotStarted and those of [ports.RunStore].
func (s *SchedulerService) Runs(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	e, err := s.started()
	if err != nil {
		return nil, err
	}
	return e.stores.runs.Query(ctx, filter)
}

// Queues looks into the worker's queues and operates on them. Errors are
// [ErrQueueingOff] and ErrNotStarted.
func (s *SchedulerService) Queues() (ports.Inspector, error) {
	e, err := s.started()
	if err != nil {
		return nil, err
	}
	if e.stores.inspector == nil {
		return nil, ErrQueueingOff
	}
	return e.stores.inspector, nil
}

// Limits sets limits of the worker's queues that hold for all of their workers
// together. Errors are [ErrQueueingOff] and ErrNotStarted.
func (s *SchedulerService) Limits() (ports.Limiter, error) {
	e, err := s.started()
	if err != nil {
		return nil, err
	}
	if e.stores.limiter == nil {
		return nil, ErrQueueingOff
	}
	return e.stores.limiter, nil
}
