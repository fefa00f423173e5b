package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

// swapRecords names the file that the feature leaves its history in; without
// one the worker does not have the feature.
const swapRecords = "SWAP_RECORDS"

// swapModule is a feature that does a bit of everything and knows nothing of
// where its queues and claims are kept.
func swapModule() app.Option {
	return app.Feature("swap", func(s *swap) app.Contribution {
		return app.Contribution{
			Queues: []string{"swap"},
			Jobs: []app.ScheduledJob{
				app.Schedule("swap.tick", s.tick, app.Cron("* * * * * *"), app.ToQueue("swap"), app.QueueJobName("swap.work")),
				app.Schedule("swap.queued", s.payload, app.ToQueue("swap"), app.QueueJobName("swap.work")),
				app.Schedule("swap.inline", s.inline),
				app.Schedule("swap.failing", s.failing),
				app.Schedule("swap.flaky", s.flaky, app.Retries(1), app.RetryDelay(0)),
				app.Schedule("swap.skipped", s.skipped),
			},
			Handlers: []app.Handler{app.Handle("swap", "swap.work", s.work)},
		}
	}, app.Provide(newSwap))
}

// number is what the jobs of the feature work on.
type number struct {
	N int `json:"n"`
}

type swap struct {
	log     *slog.Logger
	service *app.SchedulerService
}

func newSwap(lifecycle app.Lifecycle, log *slog.Logger, service *app.SchedulerService) *swap {
	s := &swap{log: log, service: service}
	lifecycle.Append(app.Hook{OnStop: s.record})
	return s
}

func (s *swap) payload(context.Context, app.Run) (any, error) { return number{N: 21}, nil }

// tick pauses itself: one is enough.
func (s *swap) tick(ctx context.Context, _ app.Run) (any, error) {
	return number{N: 21}, s.service.PauseJob(ctx, "swap.tick")
}

func (s *swap) inline(context.Context, app.Run) (any, error) { return number{N: 1}, nil }

func (s *swap) failing(context.Context, app.Run) (any, error) {
	return nil, app.Permanent(errors.New("no such table"))
}

func (s *swap) flaky(_ context.Context, run app.Run) (any, error) {
	if run.Attempt == 1 {
		return nil, errors.New("not yet")
	}
	return number{N: run.Attempt}, nil
}

func (s *swap) skipped(context.Context, app.Run) (any, error) { return nil, app.Skip("nothing to do") }

// work fails for good below zero, and at first at zero.
func (s *swap) work(ctx context.Context, job app.Job[number]) (any, error) {
	switch {
	case job.Data.N < 0:
		return nil, app.Permanent(errors.New("below zero"))
	case job.Data.N == 0 && job.AttemptsStarted == 1:
		return nil, errors.New("not yet")
	}
	s.log.InfoContext(ctx, "swap job done", "n", job.Data.N, "attempt", job.AttemptsStarted, "job_id", string(job.ID))
	return number{N: 2 * job.Data.N}, nil
}

// record leaves behind what was decided about the feature's runs and jobs.
func (s *swap) record(ctx context.Context) error {
	records, err := s.service.Runs(ctx, domain.RunFilter{Limit: 10_000})
	if err != nil {
		return err
	}
	text, err := json.Marshal(records)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv(swapRecords), text, 0o600) //nolint:gosec // a file of the test
}
