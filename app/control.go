package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// Methods of the control socket.
const (
	MethodHealth  = "health"
	MethodJobs    = "jobs"
	MethodTrigger = "trigger"
	// MethodBackfill runs one past tick, MethodPause and MethodResume switch a
	// job for the fleet.
	MethodBackfill = "backfill"
	MethodPause    = "pause"
	MethodResume   = "resume"
	MethodEnqueue  = "enqueue"
	// MethodRecords reads the history.
	MethodRecords = "records"
	// MethodQueues counts the jobs of queues, MethodQueueJobs lists them, and
	// MethodOperate changes queues.
	MethodQueues    = "queues"
	MethodQueueJobs = "queue-jobs"
	MethodOperate   = "operate"
)

// EnqueueRequest asks for jobs on a queue in memory.
type EnqueueRequest struct {
	Jobs []EnqueueJob `json:"jobs"`
}

// EnqueueJob is one job of an EnqueueRequest.
type EnqueueJob struct {
	Queue    string          `json:"queue"`
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data"`
	ID       string          `json:"id,omitempty"`
	DelayMS  int64           `json:"delayMs,omitempty"`
	Priority int             `json:"priority,omitempty"`
	LIFO     bool            `json:"lifo,omitempty"`
	Attempts int             `json:"attempts,omitempty"`
	// Backoff is fixed or exponential.
	Backoff   string `json:"backoff,omitempty"`
	BackoffMS int64  `json:"backoffMs,omitempty"`
}

// EnqueueReply answers each job of a request.
type EnqueueReply struct {
	Results []EnqueueAnswer `json:"results"`
}

// EnqueueAnswer is what became of one job.
type EnqueueAnswer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	// Note says what is odd about a job that was accepted.
	Note string `json:"note,omitempty"`
}

// HealthReply is how a worker does.
type HealthReply struct {
	State         string        `json:"state"`
	Replica       string        `json:"replica"`
	Backend       string        `json:"backend"`
	Scope         string        `json:"ledgerScope,omitempty"`
	ScheduledJobs int           `json:"scheduledJobs"`
	RunsActive    int           `json:"runsActive"`
	Queues        []QueueHealth `json:"queues"`
	UptimeSeconds float64       `json:"uptimeSeconds"`
	// Stalled tells that the loops do not move; problems that a restart would
	// not mend are in Problems alone.
	Stalled bool `json:"stalled"`
	// Counts tells how often each decision was made since the start, by event.
	Counts   map[string]int `json:"counts"`
	Problems []string       `json:"problems"`
}

// QueueHealth is how one queue's worker does.
type QueueHealth struct {
	Queue  string `json:"queue"`
	Active int    `json:"active"`
	Stuck  int    `json:"stuck"`
}

// stalledAfter is how far behind its next tick a planner is taken for stalled.
const stalledAfter = 30 * time.Second

func isLive(health runner.Health) bool { return health.Overdue <= stalledAfter }

// hookControl opens the control socket while the worker lives.
func hookControl(lifecycle fx.Lifecycle, settings Settings, service *SchedulerService, log *slog.Logger) {
	if settings.StateDir == "" {
		return
	}
	api := &controlAPI{service: service}
	socket := &controlSocket{config: control.Config{
		StateDir: settings.StateDir, Namespace: settings.Namespace, Instance: settings.Instance, Logger: log,
		Handlers: map[string]control.Handler{
			MethodHealth: api.health, MethodJobs: api.jobs, MethodEnqueue: api.enqueue, MethodRecords: api.records,
			MethodTrigger: api.trigger, MethodBackfill: api.backfill, MethodPause: api.pause, MethodResume: api.resume,
			MethodQueues: api.queues, MethodQueueJobs: api.queueJobs, MethodOperate: api.operate,
		},
	}}
	lifecycle.Append(fx.StartStopHook(socket.start, socket.stop))
}

// controlSocket runs the server of the control socket.
type controlSocket struct {
	config control.Config
	server *control.Server
	done   chan error
}

func (c *controlSocket) start(ctx context.Context) error {
	server, err := control.Listen(c.config)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	c.server, c.done = server, make(chan error, 1)
	go func() { c.done <- server.Serve(context.WithoutCancel(ctx)) }()
	return nil
}

func (c *controlSocket) stop(ctx context.Context) error {
	if c.server == nil {
		return nil
	}
	err := c.server.Close(ctx)
	select {
	case served := <-c.done:
		if !errors.Is(served, control.ErrClosed) {
			err = errors.Join(err, served)
		}
	case <-ctx.Done():
	}
	return err
}

// controlAPI answers the methods of the control socket.
type controlAPI struct{ service *SchedulerService }

func (c *controlAPI) engine() (*engine, error) {
	e, err := c.service.started()
	if err != nil {
		return nil, control.WithCode(control.CodeUnavailable, err)
	}
	return e, nil
}

func (c *controlAPI) health(context.Context, json.RawMessage) (any, error) {
	e, err := c.engine()
	if err != nil {
		return nil, err
	}
	health := e.runner.Health()
	reply := HealthReply{
		State: string(health.State), Replica: e.settings.Replica, Backend: string(e.settings.Backend),
		Scope: string(health.Scope), ScheduledJobs: health.Jobs, RunsActive: health.Runs,
		Problems: append(append([]string{}, e.stores.troubles()...), health.Problems...), Queues: []QueueHealth{},
		UptimeSeconds: e.uptime().Seconds(), Stalled: !isLive(health), Counts: map[string]int{},
	}
	for event, count := range e.runner.Counts() {
		reply.Counts[string(event)] = count
	}
	for _, q := range health.Queues {
		reply.Queues = append(reply.Queues, QueueHealth{Queue: string(q.Queue), Active: q.Active, Stuck: q.Stuck})
	}
	return reply, nil
}

func (c *controlAPI) jobs(context.Context, json.RawMessage) (any, error) {
	e, err := c.engine()
	if err != nil {
		return nil, err
	}
	return e.listJobs(), nil
}

func (c *controlAPI) enqueue(ctx context.Context, params json.RawMessage) (any, error) {
	var request EnqueueRequest
	if err := control.DecodeParams(params, &request); err != nil {
		return nil, err
	}
	e, err := c.engine()
	if err != nil {
		return nil, err
	}
	// The runner is asked, not the app: what arrives before it drains is still
	// worked, and what comes later would end with the memory.
	if e.settings.Backend == config.BackendMemory && e.stopping() {
		return nil, control.WithCode(control.CodeUnavailable, fmt.Errorf("enqueue: %w", runner.ErrStopping))
	}
	jobs := make([]domain.NewJob, len(request.Jobs))
	for i := range request.Jobs {
		jobs[i] = request.Jobs[i].newJob()
	}
	results, err := e.stores.enqueuer.Enqueue(ctx, jobs...)
	switch {
	case errors.Is(err, domain.ErrInvalid), errors.Is(err, domain.ErrTooLarge), errors.Is(err, ErrQueueingOff):
		return nil, control.WithCode(control.CodeBadData, err)
	case errors.Is(err, ports.ErrQueueFull), errors.Is(err, ports.ErrUnavailable), errors.Is(err, ports.ErrClosed):
		return nil, control.WithCode(control.CodeUnavailable, err)
	case err != nil:
		return nil, err
	}
	notes := e.noteStrangers(ctx, jobs)
	reply := EnqueueReply{Results: make([]EnqueueAnswer, len(results))}
	for i, result := range results {
		reply.Results[i] = EnqueueAnswer{ID: string(result.ID), Status: result.Status.String(), Note: notes[jobs[i].Queue]}
	}
	return reply, nil
}

func (j *EnqueueJob) newJob() domain.NewJob {
	data := []byte(j.Data)
	if len(data) == 0 {
		data = []byte("null")
	}
	return domain.NewJob{
		Queue: domain.QueueName(j.Queue), Name: j.Name, Data: data,
		Options: domain.JobOptions{
			ID: domain.JobID(j.ID), Delay: time.Duration(j.DelayMS) * time.Millisecond,
			Priority: j.Priority, LIFO: j.LIFO, Attempts: j.Attempts,
			Backoff: domain.Backoff{Kind: domain.BackoffKind(j.Backoff), Delay: time.Duration(j.BackoffMS) * time.Millisecond},
		},
	}
}
