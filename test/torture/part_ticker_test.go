package torture_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// dispatcherKind is a way to put the jobs of ticks on their queues.
type dispatcherKind string

const (
	// inSteps renews the claim, enqueues and marks the run fired in turn.
	inSteps dispatcherKind = "in steps"
	// atOnce does all of it in one script.
	atOnce dispatcherKind = "at once"
)

// ledger opens the ledger, and returns how to close it.
func (p *part) ledger(backend *redisqueue.Backend) (ports.Ledger, func() error, error) {
	if p.Postgres == "" {
		return backend.Ledger(), func() error { return nil }, nil
	}
	db, err := storage.Open(context.Background(), storage.Config{
		Dialect: storage.Postgres, Postgres: storage.PostgresConfig{URI: domain.NewSecret(p.Postgres)},
	})
	if err != nil {
		return nil, nil, err
	}
	return db.Ledger(""), db.Close, nil
}

// ports returns what the worker's runner works with, with a trap around it.
func (p *part) ports(backend *redisqueue.Backend, opened ports.Ledger, t *trap) runner.Ports {
	ledger := trappedLedger{Ledger: opened, trap: t}
	dispatcher := backend.Dispatcher()
	if p.Dispatcher == inSteps {
		dispatcher = runner.NewDispatcher(ledger, trappedEnqueuer{Enqueuer: backend, trap: t}, domain.DefaultNamespace, claimTime)
	}
	return runner.Ports{
		Ledger: ledger, Dispatcher: trappedDispatcher{Dispatcher: dispatcher, trap: t}, Waker: cron.New(p.log()),
		OpenConsumer: func(options ports.ConsumerOptions) (ports.Consumer, error) {
			c, err := backend.OpenConsumer(options)
			if err != nil {
				return nil, err
			}
			return trappedConsumer{Consumer: c, trap: t}, nil
		},
		Log: p.log(), Now: func() time.Time { return time.Now().Add(p.Offset) }, Dice: rand.Float64,
	}
}

// scheduled returns the worker's scheduled jobs. What a tick puts on the queue
// leaves nothing behind when it is done.
func (p *part) scheduled(t *trap) ([]runner.ScheduledJob, error) {
	if p.Jobs == 0 {
		return nil, nil
	}
	every, err := schedule.NewEvery(p.Tick, p.Phase)
	if err != nil {
		return nil, err
	}
	jobs := make([]runner.ScheduledJob, p.Jobs)
	for i := range jobs {
		jobs[i] = runner.ScheduledJob{
			Name: fmt.Sprint("beat-", i), Schedule: every, Fingerprint: cmp.Or(p.Revision, "v1"), Handler: payload{part: p, trap: t},
			Misfire: schedule.Misfire{After: p.MisfireAfter},
			Policy:  domain.RunPolicy{Overlap: domain.OverlapAllow, MaxJitter: p.Jitter},
			Target:  domain.Target{Queue: queueName, JobName: jobName, Options: domain.JobOptions{KeepCompleted: domain.KeepNone()}},
		}
	}
	return jobs, nil
}

// payload makes the work of a tick.
type payload struct {
	part *part
	trap *trap
}

// HandleRun implements ports.ScheduledHandler.
func (h payload) HandleRun(_ context.Context, run domain.RunKey, _ int) ([]byte, error) {
	h.trap.at("payload begins")
	data, err := json.Marshal(work{Key: string(run.JobID(domain.DefaultNamespace)), Lasts: h.part.Most})
	h.trap.at("payload ends")
	return data, err
}
