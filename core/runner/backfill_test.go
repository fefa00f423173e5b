package runner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// hourly is a job with a tick at each hour of the fleet's clock.
func hourly(t *testing.T, handler runFunc) runner.ScheduledJob {
	t.Helper()
	return tickJob(t, "report", time.Hour, handler)
}

func (r *replica) backfill(t *testing.T, id string, planned time.Time) runner.RunReport {
	t.Helper()
	report, err := r.Backfill(t.Context(), "report", id, planned)
	if err != nil {
		t.Fatalf("Backfill(%s) = %v, want no error", planned, err)
	}
	return report
}

func TestBackfill_runsAPastTickUnderItsOwnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		job := hourly(t, takes(0))
		job.Target = domain.Target{Queue: "mail", JobName: "send"}
		r := f.start(t, "ann", job)
		planned := f.origin.Truncate(time.Hour).Add(-3 * time.Hour)
		report := r.backfill(t, "jan", planned)
		want := runner.RunReport{
			Run:   domain.RunKey{Job: "report", Origin: domain.OriginBackfill, OriginID: "jan", PlannedMS: planned.UnixMilli()},
			Event: domain.EventFired, Attempts: 1,
			JobID: domain.JobID(fmt.Sprintf("backfill.report.%d@jan", planned.UnixMilli())),
		}
		if report != want {
			t.Errorf("Backfill = %+v, want %+v", report, want)
		}
	})
}

func TestBackfill_runsEachTickOnceForEachID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ann, bob := f.start(t, "ann", hourly(t, takes(0))), f.start(t, "bob", hourly(t, takes(0)))
		planned := f.origin.Truncate(time.Hour).Add(-time.Hour)
		if report := ann.backfill(t, "jan", planned); report.Event != domain.EventCompleted {
			t.Errorf("Backfill = %+v, want it completed", report)
		}
		if report := bob.backfill(t, "jan", planned); report.Event != domain.EventSkipped || report.Reason != domain.ReasonTaken {
			t.Errorf("the same backfill = %+v, want it taken", report)
		}
		if report := bob.backfill(t, "again", planned); report.Event != domain.EventCompleted {
			t.Errorf("another backfill = %+v, want it completed", report)
		}
	})
}

func TestBackfill_waitsForTheRunUnderWay(t *testing.T) {
	for _, overlap := range []domain.OverlapPolicy{domain.OverlapSkip, domain.OverlapCancelPrevious, domain.OverlapQueueOne} {
		t.Run(string(overlap), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				job := hourly(t, takes(10*time.Minute))
				job.Policy.Overlap = overlap
				r := f.start(t, "ann", job)
				go func() { _, _ = r.Trigger(t.Context(), "report", "one") }()
				synctest.Wait()
				began := time.Now()
				report := r.backfill(t, "jan", f.origin.Truncate(time.Hour).Add(-time.Hour))
				if report.Event != domain.EventCompleted || time.Since(began) < 20*time.Minute {
					t.Errorf("Backfill = %+v after %s, want it completed after the other", report, time.Since(began))
				}
				if told := r.told("report", "cancelled"); len(told) > 0 {
					t.Errorf("the run under way was cancelled: %q", told)
				}
			})
		})
	}
}

func TestBackfill_refusesWhatWasNoTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disabled := tickJob(t, "off", time.Hour, takes(0))
		disabled.Disabled = true
		r := f.start(t, "ann", hourly(t, takes(0)), manualJob("manual", takes(0)), disabled)
		past := f.origin.Truncate(time.Hour).Add(-time.Hour)
		for _, c := range []struct {
			name, job, id string
			planned       time.Time
			want          error
			text          string
		}{
			{"an instant between ticks", "report", "jan", past.Add(time.Minute), domain.ErrInvalid, "no tick at"},
			{"a tick to come", "report", "jan", past.Add(5 * time.Hour), domain.ErrInvalid, "has not passed yet"},
			{"a job without schedule", "manual", "jan", past, domain.ErrInvalid, "has no schedule"},
			{"no id", "report", "", past, domain.ErrInvalid, "needs an id"},
			{"an id that no job can have", "report", "a\x00b", past, domain.ErrInvalid, "id"},
			{"a disabled job", "off", "jan", past, runner.ErrDisabled, "off"},
			{"a job that is none", "nope", "jan", past, runner.ErrUnknownJob, "known are"},
		} {
			_, err := r.Backfill(context.Background(), c.job, c.id, c.planned)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("Backfill of %s = %v, want %v with %q", c.name, err, c.want, c.text)
			}
		}
	})
}
