package cli

import (
	"context"
	"errors"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
)

// queueDoor is where queues are looked into and operated on.
type queueDoor interface {
	// states tells how the queues do; without names, those that are known.
	states(ctx context.Context, queues []domain.QueueName) ([]app.QueueState, error)
	jobs(ctx context.Context, request app.QueueJobsRequest) ([]app.QueueJob, error)
	job(ctx context.Context, queue domain.QueueName, id domain.JobID) (wholeJob, error)
	// operate tells seen how many jobs are changed so far, and returns how many
	// were, also beside an error.
	operate(ctx context.Context, request app.OperateRequest, seen func(jobs int)) (app.OperateReply, error)
	close() error
}

// atQueues asks at the door of the queues, and closes it.
func atQueues[T any](ctx context.Context, s *session, instance string, ask func(queueDoor) (T, error)) (T, error) {
	door, err := s.openQueues(ctx, instance)
	if err != nil {
		var none T
		return none, err
	}
	answer, err := ask(door)
	return answer, errors.Join(err, door.close())
}

func (s *session) openQueues(ctx context.Context, instance string) (queueDoor, error) {
	loaded, report, err := s.loadClient()
	if loaded != nil && loaded.Queue.Backend == config.BackendRedis {
		loaded, report, err = s.loadRedis()
	}
	if err != nil {
		return nil, err
	}
	s.warn(report)
	if !loaded.Queue.Enabled() {
		return nil, queueingOff(loaded)
	}
	if loaded.Queue.Backend != config.BackendRedis {
		worker, err := s.worker(loaded, instance)
		return workerQueues{worker}, err
	}
	if instance != "" {
		s.note("note: --instance is for queues in memory: these are in Redis, and no worker is asked")
	}
	door, err := openRedisDoor(ctx, loaded)
	if err != nil {
		return nil, err
	}
	return &redisQueues{redisDoor: door, registered: s.registeredQueues}, nil
}

// registeredQueues are the queues of the features.
func (s *session) registeredQueues(ctx context.Context) ([]domain.QueueName, error) {
	loaded, _, err := s.look()
	if err != nil {
		return nil, err
	}
	built, err := s.registered(ctx, loaded)
	if err != nil {
		return nil, err
	}
	return built.Queues(), nil
}

// workerQueues are in the memory of a running worker.
type workerQueues struct{ worker control.Instance }

func (d workerQueues) close() error { return nil }

func (d workerQueues) states(ctx context.Context, queues []domain.QueueName) ([]app.QueueState, error) {
	var states []app.QueueState
	err := call(ctx, d.worker, question{method: app.MethodQueues, params: app.QueuesRequest{Queues: queues}}, &states)
	return states, err
}

func (d workerQueues) jobs(ctx context.Context, request app.QueueJobsRequest) ([]app.QueueJob, error) {
	var jobs []app.QueueJob
	err := call(ctx, d.worker, question{method: app.MethodQueueJobs, params: request}, &jobs)
	return jobs, err
}

func (d workerQueues) job(ctx context.Context, queue domain.QueueName, id domain.JobID) (wholeJob, error) {
	jobs, err := d.jobs(ctx, app.QueueJobsRequest{Queue: queue, ID: id})
	if err != nil {
		return wholeJob{}, err
	}
	if len(jobs) != 1 || jobs[0].Detail == nil {
		return wholeJob{}, errors.New("the worker answered with something else than one job")
	}
	return wholeJob{QueueJob: jobs[0]}, nil
}

func (d workerQueues) operate(ctx context.Context, request app.OperateRequest, _ func(int)) (app.OperateReply, error) {
	var reply app.OperateReply
	err := call(ctx, d.worker, question{method: app.MethodOperate, params: request}, &reply)
	return reply, err
}
