package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// Backfill runs a past tick of a scheduled job now, whatever became of it then,
// and waits for its end, or until ctx ends; the run then goes on. id names the
// backfill: under one id each tick runs once, so a backfill that was cut short
// can be repeated. Where the job's overlap policy would skip the run or cancel
// another, it waits for the run under way.
//
// planned must be an instant of the schedule that has passed; other instants
// and an id that no job can have are [domain.ErrInvalid]. Other errors are those
// of [Runner.Trigger].
func (r *Runner) Backfill(ctx context.Context, name, id string, planned time.Time) (RunReport, error) {
	job, err := r.enabledJob(name)
	if err != nil {
		return RunReport{}, err
	}
	key := domain.RunKey{Job: name, Origin: domain.OriginBackfill, OriginID: id, PlannedMS: planned.UnixMilli()}
	if err := r.checkBackfill(job, key); err != nil {
		return RunReport{}, fmt.Errorf("backfill of job %s: %w", domain.Quote(name), err)
	}
	return r.runNow(ctx, job, key)
}

func (r *Runner) checkBackfill(job *jobState, key domain.RunKey) error {
	if key.OriginID == "" {
		return domain.Invalidf("it needs an id")
	}
	if err := key.JobID(r.cfg.Namespace).Validate(); err != nil {
		return fmt.Errorf("id %s: %w", domain.Quote(key.OriginID), err)
	}
	planned := key.Planned()
	switch {
	case job.Schedule == nil:
		return domain.Invalidf("it has no schedule; trigger it instead")
	case planned.After(r.clock.Now()):
		return domain.Invalidf("%s has not passed yet", planned.Format(time.RFC3339Nano))
	case !job.Schedule.Next(planned.Add(-time.Millisecond)).Equal(planned):
		return domain.Invalidf("its schedule has no tick at %s", planned.Format(time.RFC3339Nano))
	}
	return nil
}
