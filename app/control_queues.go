package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// QueuesRequest asks how queues in memory do; without names, all that the
// worker knows.
type QueuesRequest struct {
	Queues []domain.QueueName `json:"queues"`
}

// QueueJobsRequest asks for jobs of a queue in memory: for the one of the id,
// with its data, or for a page of those of a state.
type QueueJobsRequest struct {
	Queue  domain.QueueName `json:"queue"`
	ID     domain.JobID     `json:"id,omitempty"`
	State  domain.State     `json:"state,omitempty"`
	Offset int              `json:"offset,omitempty"`
	Limit  int              `json:"limit,omitempty"`
}

// OperateRequest asks for an operation on a queue in memory.
type OperateRequest struct {
	Queue       domain.QueueName     `json:"queue"`
	Kind        domain.OperationKind `json:"operation"`
	IDs         []domain.JobID       `json:"ids,omitempty"`
	State       domain.State         `json:"state,omitempty"`
	OlderThanMS int64                `json:"olderThanMs,omitempty"`
	Limit       int                  `json:"limit,omitempty"`
	DryRun      bool                 `json:"dryRun,omitempty"`
}

// Operation returns the operation that is asked for.
func (r *OperateRequest) Operation() domain.Operation {
	return domain.Operation{
		Kind: r.Kind, IDs: r.IDs, State: r.State, OlderThan: time.Duration(r.OlderThanMS) * time.Millisecond,
		Limit: r.Limit, DryRun: r.DryRun,
	}
}

// OperateReply tells what an operation has changed, or would change.
type OperateReply struct {
	Jobs int `json:"jobs"`
	// IDs are the changed ones among the jobs that were named.
	IDs []domain.JobID `json:"ids,omitempty"`
}

func (c *controlAPI) queues(ctx context.Context, params json.RawMessage) (any, error) {
	var request QueuesRequest
	e, err := c.atDesk(params, &request)
	if err != nil {
		return nil, err
	}
	if len(request.Queues) == 0 {
		for _, name := range e.registry.queues {
			request.Queues = append(request.Queues, domain.QueueName(name))
		}
	}
	return withQueueCode(e.desk().States(ctx, request.Queues...))
}

func (c *controlAPI) queueJobs(ctx context.Context, params json.RawMessage) (any, error) {
	var request QueueJobsRequest
	e, err := c.atDesk(params, &request)
	if err != nil {
		return nil, err
	}
	if request.ID == "" {
		filter := domain.JobFilter{State: request.State, Offset: request.Offset, Limit: request.Limit}
		return withQueueCode(e.desk().Jobs(ctx, request.Queue, filter))
	}
	job, err := e.desk().Job(ctx, request.Queue, request.ID)
	return withQueueCode([]QueueJob{job}, err)
}

func (c *controlAPI) operate(ctx context.Context, params json.RawMessage) (any, error) {
	var request OperateRequest
	e, err := c.atDesk(params, &request)
	if err != nil {
		return nil, err
	}
	ids, err := e.stores.inspector.Apply(ctx, request.Queue, request.Operation())
	reply := OperateReply{Jobs: len(ids)}
	if len(request.IDs) > 0 {
		reply.IDs = ids
	}
	return withQueueCode(reply, err)
}

// atDesk reads the request and returns the engine, if it has queues.
func (c *controlAPI) atDesk(params json.RawMessage, request any) (*engine, error) {
	if err := control.DecodeParams(params, request); err != nil {
		return nil, err
	}
	e, err := c.engine()
	if err == nil && e.stores.inspector == nil {
		err = control.WithCode(control.CodeBadData, ErrQueueingOff)
	}
	return e, err
}

func (e *engine) desk() QueueDesk {
	return QueueDesk{Inspector: e.stores.inspector, Limiter: e.stores.limiter}
}

// withQueueCode gives the errors about queues their codes.
func withQueueCode[T any](reply T, err error) (any, error) {
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(err, domain.ErrInvalid), errors.Is(err, ports.ErrNotFound):
		return nil, control.WithCode(control.CodeBadData, err)
	case errors.Is(err, ports.ErrUnavailable), errors.Is(err, ports.ErrClosed):
		return nil, control.WithCode(control.CodeUnavailable, err)
	}
	return nil, err
}
