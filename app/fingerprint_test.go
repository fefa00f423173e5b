package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

func TestEachInputChangesTheFingerprint(t *testing.T) {
	define := func(change func(*runner.ScheduledJob, *app.JobInfo)) string {
		interval, phase := int64(60_000), int64(1000)
		job := &runner.ScheduledJob{Name: "report", Target: domain.Target{Queue: "mail", JobName: "send"}}
		info := &app.JobInfo{ScheduleType: "cron", Cron: "0 3 * * *", Timezone: "UTC", IntervalMS: &interval, PhaseMS: &phase}
		change(job, info)
		return app.FingerprintOf(job, info)
	}
	base := define(func(*runner.ScheduledJob, *app.JobInfo) {})
	for name, change := range map[string]func(*runner.ScheduledJob, *app.JobInfo){
		"schedule type":  func(_ *runner.ScheduledJob, i *app.JobInfo) { i.ScheduleType = "interval" },
		"cron":           func(_ *runner.ScheduledJob, i *app.JobInfo) { i.Cron = "0 4 * * *" },
		"zone":           func(_ *runner.ScheduledJob, i *app.JobInfo) { i.Timezone = "Europe/Berlin" },
		"interval":       func(_ *runner.ScheduledJob, i *app.JobInfo) { *i.IntervalMS = 120_000 },
		"phase":          func(_ *runner.ScheduledJob, i *app.JobInfo) { *i.PhaseMS = 2000 },
		"queue":          func(j *runner.ScheduledJob, _ *app.JobInfo) { j.Target.Queue = "post" },
		"queue job name": func(j *runner.ScheduledJob, _ *app.JobInfo) { j.Target.JobName = "welcome" },
	} {
		if got := define(change); got == base {
			t.Errorf("another %s leaves the fingerprint at %s, want another one", name, got)
		}
	}
}

func TestWhatAnOptionChangesOfTheFingerprint(t *testing.T) {
	options := func(all ...app.JobOption) []app.JobOption { return all }
	other := func(context.Context, app.Run) (any, error) { return 1, nil }
	for name, c := range map[string]struct {
		before, after []app.JobOption
		same          bool
	}{
		"schedule":       {options(), options(app.Every(time.Minute)), false},
		"cron":           {options(app.Cron("0 3 * * *")), options(app.Cron("0 4 * * *")), false},
		"zone":           {options(app.Cron("0 3 * * *")), options(app.Cron("0 3 * * *"), app.Zone("Europe/Berlin")), false},
		"interval":       {options(app.Every(time.Minute), app.Phase(0)), options(app.Every(time.Hour), app.Phase(0)), false},
		"phase":          {options(app.Every(time.Minute), app.Phase(0)), options(app.Every(time.Minute), app.Phase(time.Second)), false},
		"target":         {options(), options(app.ToQueue("")), false},
		"queue":          {options(app.ToQueue("")), options(app.ToQueue("mail")), false},
		"queue job name": {options(app.ToQueue("")), options(app.QueueJobName("send")), false},
		"policy": {
			options(app.Every(time.Minute)),
			options(app.Every(time.Minute), app.Retries(3), app.Timeout(time.Hour), app.Description("Renders."), app.Overlap(domain.OverlapAllow)),
			true,
		},
	} {
		settings := app.Settings{Queues: []string{"mail"}}
		before := build(t, settings, jobs("f", app.Schedule("report", nothing, c.before...))).Fingerprints()["report"]
		after := build(t, settings, jobs("f", app.Schedule("report", other, c.after...))).Fingerprints()["report"]
		if before == "" || (before == after) != c.same {
			t.Errorf("another %s: fingerprint %q and then %q, want them equal: %t", name, before, after, c.same)
		}
	}
}
