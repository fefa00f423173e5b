package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/config"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/schedule"
)

// past is a history that commands read.
type past struct {
	history.Reader

	// worker is asked for its own records; nil if they come from storage, and
	// are those of all workers.
	worker *control.Instance
	close  func() error
}

// openPast opens the history in storage, or, without one or if a worker is
// named, that of a running worker.
func (s *session) openPast(ctx context.Context, loaded *config.Config, instance string) (*past, error) {
	var none error
	if instance == "" {
		stored, closing, err := app.OpenHistory(ctx, app.SettingsFrom(loaded))
		if err == nil {
			return &past{Reader: stored, close: closing}, nil
		}
		if !errors.Is(err, app.ErrNoHistory) {
			return nil, err
		}
		none = err
	}
	worker, err := s.worker(loaded, instance)
	if errors.Is(err, control.ErrNoWorker) && none != nil {
		return nil, fmt.Errorf("%w; %w", err, none)
	}
	if err != nil {
		return nil, err
	}
	return &past{Reader: workerPast{worker}, worker: &worker, close: func() error { return nil }}, nil
}

// workerPast reads the records of a running worker.
type workerPast struct{ worker control.Instance }

// Query implements [history.Reader].
func (w workerPast) Query(ctx context.Context, filter domain.RunFilter) ([]domain.Record, error) {
	var reply app.RecordsReply
	err := call(ctx, w.worker, question{method: app.MethodRecords, params: app.RecordsRequest{Filter: filter}}, &reply)
	return reply.Records, err
}

// known returns what is known of the job at present, and its zone.
func (p *past) known(ctx context.Context, info *app.JobInfo) (history.Known, error) {
	known := history.Known{Registered: true, Disabled: !info.Enabled}
	var err error
	if known.Schedule, err = scheduleIn(info); err != nil || p.worker == nil {
		return known, err
	}
	var health app.HealthReply
	if err := call(ctx, *p.worker, question{method: app.MethodHealth}, &health); err != nil {
		return known, err
	}
	known.Replica, known.Shared = health.Replica, health.Scope == string(domain.ScopeFleet)
	if info.NextTick != nil {
		known.Next = *info.NextTick
	}
	return known, nil
}

// scheduleIn returns the schedule of a listed job; nil if it has none.
func scheduleIn(info *app.JobInfo) (schedule.Schedule, error) {
	switch {
	case info.Cron != "":
		return schedule.ParseCron(info.Cron, info.Timezone)
	case info.IntervalMS != nil && info.PhaseMS != nil:
		return schedule.NewFastEvery(time.Duration(*info.IntervalMS)*time.Millisecond, time.Duration(*info.PhaseMS)*time.Millisecond)
	}
	return nil, nil // A manual job.
}
