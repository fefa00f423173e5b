package app

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// PlannedTick is a tick to come.
type PlannedTick struct {
	Job string
	// At is the instant, in the job's zone.
	At time.Time
	// Note tells what a change of the clocks does to the tick; empty when
	// none is near.
	Note string
}

// PlannedJob is a scheduled job whose ticks can be computed.
type PlannedJob struct {
	Name     string
	Schedule schedule.Schedule
}

// PlannedJobs returns the enabled jobs that have a schedule, by name; with a
// name only that one, which must have a schedule. Errors are
// [runner.ErrUnknownJob] and [runner.ErrDisabled].
func (a *App) PlannedJobs(name string) ([]PlannedJob, error) {
	var planned []PlannedJob
	for i := range a.engine.registry.jobs {
		job := &a.engine.registry.jobs[i]
		if name != "" && job.Name != name {
			continue
		}
		if name != "" && (job.Disabled || a.settings.SchedulerDisabled) {
			return nil, fmt.Errorf("job %s: %w", domain.Quote(name), runner.ErrDisabled)
		}
		if job.Schedule != nil && !job.Disabled && !a.settings.SchedulerDisabled {
			planned = append(planned, PlannedJob{Name: job.Name, Schedule: job.Schedule})
		} else if name != "" {
			return nil, fmt.Errorf("job %s: has no schedule: it runs when it is triggered", domain.Quote(name))
		}
	}
	if name != "" && len(planned) == 0 {
		return nil, fmt.Errorf("%w %s", runner.ErrUnknownJob, domain.Quote(name))
	}
	return planned, nil
}

// Warnings returns what is legal in the registrations and hardly meant, such as
// a step of a cron expression that is wider than its range. A worker logs the
// same when it starts.
func (a *App) Warnings() []string { return slices.Clone(a.engine.registry.warnings) }

// Location returns the zone of the job's cron expression; nil for an interval,
// which has none.
func (p PlannedJob) Location() *time.Location {
	if cron, ok := p.Schedule.(*schedule.Cron); ok {
		return cron.Location()
	}
	return nil
}

// Ticks returns the ticks of the schedule after from, earliest first, without
// end.
func (p PlannedJob) Ticks(from time.Time) iter.Seq[PlannedTick] {
	return func(yield func(PlannedTick) bool) {
		for at := p.Schedule.Next(from); !at.IsZero(); at = p.Schedule.Next(at) {
			if !yield(p.tick(at)) {
				return
			}
		}
	}
}

func (p PlannedJob) tick(at time.Time) PlannedTick {
	tick := PlannedTick{Job: p.Name, At: at}
	if cron, ok := p.Schedule.(*schedule.Cron); ok {
		tick.At = at.In(cron.Location())
		tick.Note = cron.Note(at).String()
	}
	return tick
}
