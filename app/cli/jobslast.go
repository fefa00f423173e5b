package cli

import (
	"context"
	"errors"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
)

// addLast completes the jobs by the history in storage, if there is one: by
// runs that are later than those the asked worker knows of, and, where none was
// asked, by pauses.
func (s *session) addLast(ctx context.Context, jobs []app.JobInfo) (err error) {
	loaded, _, err := s.load()
	if err != nil {
		return nil // The worker has answered; what is wrong with the rest, other commands say.
	}
	stored, closing, err := app.OpenHistory(ctx, app.SettingsFrom(loaded))
	if errors.Is(err, app.ErrNoHistory) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	names := make([]string, len(jobs))
	for i := range jobs {
		names[i] = jobs[i].ID
	}
	last, err := history.Last(ctx, stored, names)
	if err != nil {
		return err
	}
	paused, err := history.Paused(ctx, stored)
	if err != nil {
		return err
	}
	for i := range jobs {
		if jobs[i].Running == nil {
			jobs[i].Paused = paused[jobs[i].ID]
		}
		if record, known := last[jobs[i].ID]; known {
			addRecord(&jobs[i], &record)
		}
	}
	return nil
}

// addRecord takes in what became of a run, unless the job's own is later.
func addRecord(job *app.JobInfo, record *domain.Record) {
	if job.LastAt != nil && !record.At.After(*job.LastAt) {
		return
	}
	at := record.At.UTC()
	job.LastOutcome, job.LastReason, job.LastAt = string(record.Event), record.Reason, &at
	if record.Run.Origin != domain.OriginSchedule {
		return
	}
	tick := record.Run.Planned()
	if record.Until.After(tick) {
		tick = record.Until.UTC()
	}
	if job.LastTick == nil || tick.After(*job.LastTick) {
		job.LastTick = &tick
	}
}
