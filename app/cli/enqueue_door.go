package cli

import (
	"context"
	"errors"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
)

// door is where jobs are handed in.
type door interface {
	// put answers each of the jobs, in order, or enqueues none of them.
	put(ctx context.Context, jobs []domain.NewJob) ([]answer, error)
	close() error
}

func (s *session) openDoor(ctx context.Context, loaded *config.Config, instance string) (door, error) {
	if loaded.Queue.Backend == config.BackendRedis {
		if instance != "" {
			s.note("note: --instance is for queues in memory: these are in Redis, and no worker is asked")
		}
		return openRedisDoor(ctx, loaded)
	}
	worker, err := s.worker(loaded, instance)
	return workerDoor{worker}, err
}

// A call carries at most so much, well below what a request may have.
const (
	batchJobs  = 100
	batchBytes = 1 << 20
)

// answer is what became of a job, as JSON.
type answer struct {
	Queue  string `json:"queue"`
	Name   string `json:"name"`
	ID     string `json:"id"`
	Status string `json:"status"`
	Note   string `json:"note,omitempty"`
}

// send enqueues the jobs in their order, a batch at a time. With an error it
// returns the answers of the batches before.
func send(ctx context.Context, into door, jobs []domain.NewJob) ([]answer, error) {
	answers := make([]answer, 0, len(jobs))
	for len(jobs) > 0 {
		n, bytes := 0, 0
		for n < len(jobs) && n < batchJobs && (n == 0 || bytes+len(jobs[n].Data) <= batchBytes) {
			bytes += len(jobs[n].Data)
			n++
		}
		some, err := into.put(ctx, jobs[:n])
		if err != nil {
			return answers, err
		}
		answers, jobs = append(answers, some...), jobs[n:]
	}
	return answers, nil
}

// workerDoor hands jobs to a running worker.
type workerDoor struct{ worker control.Instance }

func (d workerDoor) close() error { return nil }

func (d workerDoor) put(ctx context.Context, jobs []domain.NewJob) ([]answer, error) {
	request := app.EnqueueRequest{Jobs: make([]app.EnqueueJob, len(jobs))}
	for i := range jobs {
		request.Jobs[i] = wire(&jobs[i])
	}
	var reply app.EnqueueReply
	if err := call(ctx, d.worker, question{method: app.MethodEnqueue, params: request}, &reply); err != nil {
		return nil, err
	}
	if len(reply.Results) != len(jobs) {
		return nil, errors.New("the worker answered for another number of jobs than it was sent")
	}
	answers := make([]answer, len(jobs))
	for i, result := range reply.Results {
		answers[i] = answer{Queue: request.Jobs[i].Queue, Name: request.Jobs[i].Name, ID: result.ID, Status: result.Status, Note: result.Note}
	}
	return answers, nil
}

func wire(job *domain.NewJob) app.EnqueueJob {
	o := job.Options
	return app.EnqueueJob{
		Queue: string(job.Queue), Name: job.Name, Data: job.Data, ID: string(o.ID), DelayMS: o.Delay.Milliseconds(),
		Priority: o.Priority, LIFO: o.LIFO, Attempts: o.Attempts,
		Backoff: string(o.Backoff.Kind), BackoffMS: o.Backoff.Delay.Milliseconds(),
	}
}
