package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// addJob checks the definition and completes it with the defaults.
func (r *registry) addJob(job ScheduledJob) {
	job.name = strings.TrimSpace(job.name)
	by := "feature " + job.feature
	if err := domain.ValidateScheduledJobName(job.name); err != nil {
		r.problem("%s: %s", by, err)
		return
	}
	method := functionName(job.run)
	if !r.once("scheduled job", job.name, by+describeMethod(method)) {
		return
	}
	before := len(r.problems)
	report := func(err error) {
		if err != nil {
			r.problem("%s: scheduled job %s: %s", by, domain.Quote(job.name), err)
		}
	}
	if job.run == nil {
		report(errors.New("the function is nil"))
	}
	done := runner.ScheduledJob{
		Name: job.name, Disabled: r.disabled(&job), Misfire: job.misfire,
		Handler: runner.HandleRun(job.run),
		Policy:  r.policyOf(&job),
	}
	info := JobInfo{
		ID: job.name, ProviderName: job.feature, MethodName: method, Description: job.description,
		Enabled: !done.Disabled, RunOnStart: job.onStart != domain.StartNever, ExecutionTarget: targetInline,
	}
	report(r.schedule(&job, &done, &info))
	for _, err := range r.target(&job, &done, &info) {
		report(err)
	}
	report(checkTimeout(&job))
	report(checkPolicy(&done))
	if len(r.problems) > before {
		return
	}
	done.Fingerprint = fingerprint(&done, &info)
	r.warnOfJitter(&done)
	r.warnOfDeploy(&done)
	r.jobs = append(r.jobs, registeredJob{ScheduledJob: done, info: info})
}

func (r *registry) disabled(job *ScheduledJob) bool {
	if job.enabled != nil {
		return !*job.enabled
	}
	return r.settings.Jobs.Disabled
}

// schedule makes the job's schedule.
func (r *registry) schedule(job *ScheduledJob, done *runner.ScheduledJob, info *JobInfo) error {
	switch set := len(job.crons) + len(job.intervals); {
	case len(job.crons) > 0 && len(job.intervals) > 0:
		return errors.New("has both a cron expression and an interval; choose one")
	case set > 1:
		return errors.New("has more than one schedule; register one job for each")
	case len(job.crons) == 1:
		return r.cron(job, done, info)
	case len(job.intervals) == 1:
		return r.interval(job, done, info)
	case job.zone != "":
		return errors.New("has a zone but no cron expression")
	case job.phase != nil:
		return errors.New("has a phase but no interval")
	}
	info.ScheduleType = scheduleManual
	return nil
}

func (r *registry) cron(job *ScheduledJob, done *runner.ScheduledJob, info *JobInfo) error {
	if job.phase != nil {
		return errors.New("has a phase, which is for intervals; a cron expression says itself when it fires")
	}
	zone := job.zone
	if zone == "" {
		zone = r.settings.Timezone
	}
	cron, err := r.crons.Cron(job.crons[0], zone)
	if err != nil {
		return err
	}
	for _, warning := range cron.Warnings() {
		r.warn(done, "cron %s: %s", domain.Quote(job.crons[0]), warning)
	}
	done.Schedule = cron
	info.ScheduleType, info.Cron, info.Timezone = scheduleCron, job.crons[0], cron.Zone()
	return nil
}

func (r *registry) interval(job *ScheduledJob, done *runner.ScheduledJob, info *JobInfo) error {
	if job.zone != "" {
		return errors.New("has a zone, which is for cron expressions; an interval is the same everywhere")
	}
	interval := job.intervals[0]
	newEvery := schedule.NewEvery
	if job.fast {
		newEvery = schedule.NewFastEvery
	}
	phase := schedule.Phase(r.settings.Namespace, job.name, interval)
	override(&phase, job.phase)
	every, err := newEvery(interval, phase)
	if errors.Is(err, schedule.ErrFastInterval) {
		return fmt.Errorf("%w: use EveryFast", err)
	}
	if err != nil {
		return err
	}
	done.Schedule = every
	ms, phaseMS := interval.Milliseconds(), every.Phase.Milliseconds()
	info.ScheduleType, info.IntervalMS, info.PhaseMS = scheduleInterval, &ms, &phaseMS
	return nil
}

// fingerprint changes with the schedule, the zone and the target.
func fingerprint(job *runner.ScheduledJob, info *JobInfo) string {
	var interval, phase int64
	if info.IntervalMS != nil {
		interval, phase = *info.IntervalMS, *info.PhaseMS
	}
	return fmt.Sprintf("%016x", domain.Hash(info.ScheduleType, info.Cron, info.Timezone,
		fmt.Sprint(interval), fmt.Sprint(phase), string(job.Target.Queue), job.Target.JobName))
}

// warn says at start what may surprise about a job that runs.
func (r *registry) warn(job *runner.ScheduledJob, format string, args ...any) {
	if !job.Disabled && !r.settings.SchedulerDisabled {
		r.warnings = append(r.warnings, "scheduled job "+domain.Quote(job.Name)+": "+fmt.Sprintf(format, args...))
	}
}

const jitterHorizon = 30 * 24 * time.Hour

// warnOfJitter warns of a jitter that may reach the next tick: one jittered
// run of a job is pending at a time, so ticks would be skipped.
func (r *registry) warnOfJitter(job *runner.ScheduledJob) {
	if job.Policy.MaxJitter == 0 || job.Schedule == nil {
		return
	}
	gap := schedule.ShortestGap(job.Schedule, r.settings.Now(), jitterHorizon)
	if gap.Length > 0 && job.Policy.MaxJitter >= gap.Length {
		r.warn(job, "a jitter of up to %s may reach the next tick, which follows after %s: such ticks are skipped", job.Policy.MaxJitter, gap.Length)
	}
}

// warnOfDeploy warns of a job that is to run once per deployment while nobody
// says which deployment this is.
func (r *registry) warnOfDeploy(job *runner.ScheduledJob) {
	if job.Policy.OnStart == domain.StartOncePerDeploy && r.settings.DeployID == "" {
		r.warn(job, "runs on start once per deployment, but there is no deploy id: it runs at the start of each worker")
	}
}
