package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/taktwork/takt/adapters/cron"
	"github.com/taktwork/takt/core/schedule"
	"github.com/taktwork/takt/test/figures"
)

const (
	// plannerSeconds is how many ticks each job has.
	plannerSeconds = 5
	// plannerLead is when the planning begins, after the jobs were made.
	plannerLead = 2 * time.Second
	// wakeSpacing is the runner's: ticks closer together share a wake.
	wakeSpacing = 2 * time.Millisecond
)

// plannerLoad is a number of jobs that each run every second.
type plannerLoad struct {
	jobs       int
	make       func(n int, cursor time.Time) ([]schedule.Planned, error)
	p99, cores *figures.Goal
}

// measurePlanner plans in real time. The runs are the seconds; the lateness
// is that of all ticks together, the worst second included.
func measurePlanner(ctx context.Context, load plannerLoad) ([]figures.Figure, error) {
	begin := time.Now().Truncate(time.Second).Add(plannerLead)
	jobs, err := load.make(load.jobs, begin)
	if err != nil {
		return nil, err
	}
	loop := &planning{
		waker: cron.New(noLog()),
		due:   make([]schedule.Due, 0, len(jobs)),
		late:  make([]float64, 0, (plannerSeconds+1)*len(jobs)),
	}
	loop.planner.Load(jobs)
	runtime.GC()
	if err := loop.start(); err != nil {
		return nil, err
	}
	cores, err := coresBySecond(ctx, begin)
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if stopped := loop.waker.Stop(stopCtx); err == nil {
		err = stopped
	}
	if err != nil {
		return nil, err
	}
	if want := plannerSeconds * load.jobs; len(loop.late) < want {
		return nil, fmt.Errorf("%d ticks in %d seconds, want %d", len(loop.late), plannerSeconds, want)
	}
	late := loop.late[:plannerSeconds*load.jobs]
	var bySecond []float64
	for second := range slices.Chunk(late, load.jobs) {
		bySecond = append(bySecond, figures.Percentile(second, 99))
	}
	lateness := figures.New("lateness, p99", "ms", bySecond, load.p99)
	lateness.Measured = figures.Percentile(late, 99)
	return []figures.Figure{lateness, figures.New("processor", "cores", cores, load.cores)}, nil
}

// coresBySecond measures from the middle of a second to the middle of the
// next, so that each holds one tick of every job.
func coresBySecond(ctx context.Context, begin time.Time) ([]float64, error) {
	var cores []float64
	var at time.Time
	var used time.Duration
	for second := range plannerSeconds + 1 {
		middle := begin.Add(time.Duration(second)*time.Second + time.Second/2)
		if err := pause(ctx, time.Until(middle)); err != nil {
			return nil, err
		}
		now, err := figures.OwnCPU()
		if err != nil {
			return nil, err
		}
		if second > 0 {
			cores = append(cores, float64(now-used)/float64(time.Since(at)))
		}
		at, used = time.Now(), now
	}
	return cores, nil
}

// planning wakes a planner as the runner does. Its fields are the waker's
// goroutine's once it has started.
type planning struct {
	waker    *cron.Waker
	planner  schedule.Planner
	lastWake time.Time
	due      []schedule.Due
	// late holds for each tick how many milliseconds after its instant it was
	// handed out.
	late []float64
}

func (p *planning) start() error {
	p.lastWake = time.Now()
	if err := p.waker.Start(p.wake); err != nil {
		return err
	}
	return p.waker.Arm(time.Until(p.planner.NextDeadline()))
}

func (p *planning) wake() {
	p.lastWake = time.Now()
	// The runner hands over what was due before, and fills the other list.
	p.due = p.due[:0]
	start, wall := p.lastWake, p.lastWake.UTC().Round(0)
	p.planner.Due(wall, func(due schedule.Due) {
		p.due = append(p.due, due)
		late := milliseconds(wall.Add(time.Since(start)).Sub(due.First))
		for range due.Count {
			p.late = append(p.late, late)
		}
	})
	spacing := time.Until(p.lastWake.Add(wakeSpacing))
	// An error says that the waker was stopped.
	_ = p.waker.Arm(max(time.Until(p.planner.NextDeadline()), spacing))
}
