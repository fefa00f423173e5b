package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// redisQueues are read and changed in Redis, where no worker need run.
type redisQueues struct {
	*redisDoor

	registered func(context.Context) ([]domain.QueueName, error)
}

func (d *redisQueues) desk() app.QueueDesk {
	return app.QueueDesk{Inspector: d.backend, Limiter: d.backend}
}

func (d *redisQueues) states(ctx context.Context, queues []domain.QueueName) ([]app.QueueState, error) {
	if len(queues) == 0 {
		var err error
		if queues, err = d.registered(ctx); err != nil {
			return nil, err
		}
	}
	return whileAnswered(ctx, d, func(ctx context.Context) ([]app.QueueState, error) { return d.desk().States(ctx, queues...) })
}

func (d *redisQueues) jobs(ctx context.Context, request app.QueueJobsRequest) ([]app.QueueJob, error) {
	filter := domain.JobFilter{State: request.State, Offset: request.Offset, Limit: request.Limit}
	return whileAnswered(ctx, d, func(ctx context.Context) ([]app.QueueJob, error) {
		return d.desk().Jobs(ctx, request.Queue, filter)
	})
}

// bullJob is what BullMQ keeps of a job beside the rest.
type bullJob struct {
	// Options are those that the producer gave, with BullMQ's short names.
	Options        json.RawMessage `json:"options,omitempty"`
	Worker         string          `json:"worker,omitempty"`
	Stacks         []string        `json:"stacks,omitempty"`
	Parent         string          `json:"parent,omitempty"`
	Scheduler      string          `json:"scheduler,omitempty"`
	DeferredReason string          `json:"deferredReason,omitempty"`
	Children       bullChildren    `json:"children"`
	// LogLines is how many lines the log has; the newest 1,000 are shown.
	LogLines int `json:"logLines"`
}

type bullChildren struct {
	Processed   int `json:"processed"`
	Unprocessed int `json:"unprocessed"`
	Ignored     int `json:"ignored"`
	Failed      int `json:"failed"`
}

// wholeJob is one job with all that there is of it.
type wholeJob struct {
	app.QueueJob

	BullMQ *bullJob `json:"bullmq,omitempty"`
}

func (d *redisQueues) job(ctx context.Context, name domain.QueueName, id domain.JobID) (wholeJob, error) {
	queue, err := d.backend.Queue(name)
	if err != nil {
		return wholeJob{}, err
	}
	whole, err := whileAnswered(ctx, d, func(ctx context.Context) (wholeJob, error) { return readWhole(ctx, queue, id) })
	if errors.Is(err, ports.ErrNotFound) {
		err = &exitError{code: ExitBadData, err: err}
	}
	return whole, err
}

func readWhole(ctx context.Context, queue *redisqueue.Queue, id domain.JobID) (wholeJob, error) {
	view, err := queue.Job(ctx, id)
	if err != nil {
		return wholeJob{}, err
	}
	log, err := queue.Log(ctx, id, redisqueue.LogPage{Newest: true})
	if err != nil {
		return wholeJob{}, err
	}
	children, err := queue.DependenciesCount(ctx, id)
	if err != nil {
		return wholeJob{}, err
	}
	whole := wholeJob{QueueJob: app.DescribeJobWhole(&view.JobView), BullMQ: &bullJob{
		Options: app.RawJSON(view.Options), Worker: view.Worker, Stacks: view.Stacks, Parent: view.ParentKey,
		Scheduler: view.Scheduler, DeferredReason: view.DeferredReason, Children: bullChildren(children), LogLines: log.Count,
	}}
	whole.Detail.Deduplication = view.Deduplication
	slices.Reverse(log.Lines)
	whole.Detail.Log = append(whole.Detail.Log, log.Lines...)
	return whole, nil
}

func (d *redisQueues) operate(ctx context.Context, request app.OperateRequest, seen func(int)) (app.OperateReply, error) {
	queue, err := d.backend.Queue(request.Queue)
	if err != nil {
		return app.OperateReply{}, err
	}
	return whileAnswered(ctx, d, func(ctx context.Context) (app.OperateReply, error) {
		var reply app.OperateReply
		_, err := queue.Operate(ctx, request.Operation(), func(ids []domain.JobID) {
			if len(request.IDs) > 0 {
				reply.IDs = append(reply.IDs, ids...)
			}
			reply.Jobs += len(ids)
			seen(reply.Jobs)
		})
		return reply, err
	})
}

// watchInterval is how often it is looked whether Redis answers.
const watchInterval = 250 * time.Millisecond

// whileAnswered calls Redis for as long as that answers: what takes many calls
// may take its time. It returns when the call under way has ended, so that what
// it did is known.
func whileAnswered[T any](ctx context.Context, d *redisQueues, ask func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	asked := async(func() (T, error) { return ask(limited) })
	watch := time.NewTicker(watchInterval)
	defer watch.Stop()
	for {
		select {
		case r := <-asked:
			if r.err != nil && limited.Err() != nil {
				r.err = context.Cause(limited)
			}
			return r.value, r.err
		case now := <-watch.C:
			if since, reason := d.backend.Health(); reason != nil && now.Sub(since) > redisPatience {
				cancel(fmt.Errorf("%w: %s", ports.ErrUnavailable, domain.CleanText(reason.Error(), domain.MaxReason)))
			}
		}
	}
}
