package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
	"github.com/taktwork/takt/test/figures"
)

// perSecond returns the i-th of 259,200 different expressions and zones that
// all run every second.
func perSecond(i int) (expr, zone string) {
	const day = 24 * 60 * 60
	zones := [...]string{"UTC", "Europe/Berlin", "America/New_York"}
	return fmt.Sprintf("*,%d *,%d *,%d * * *", i%60, i/60%60, i/3600%24), zones[(i+i/day)%len(zones)]
}

// cronJobs all have their ticks at the same instants, the worst case.
func cronJobs(n int, cursor time.Time) ([]schedule.Planned, error) {
	var parser schedule.Parser
	jobs := make([]schedule.Planned, n)
	for i := range jobs {
		expr, zone := perSecond(i)
		c, err := parser.Cron(expr, zone)
		if err != nil {
			return nil, err
		}
		jobs[i] = schedule.Planned{ID: "job-" + strconv.Itoa(i), Schedule: c, Cursor: cursor}
	}
	return jobs, nil
}

// intervalJobs have their ticks spread over the second.
func intervalJobs(n int, cursor time.Time) ([]schedule.Planned, error) {
	jobs := make([]schedule.Planned, n)
	for i := range jobs {
		every, err := schedule.NewEvery(time.Second, time.Duration(i)*time.Second/time.Duration(n))
		if err != nil {
			return nil, err
		}
		jobs[i] = schedule.Planned{ID: "job-" + strconv.Itoa(i), Schedule: every, Cursor: cursor}
	}
	return jobs, nil
}

const (
	registerRuns = 5
	nextRuns     = 3
)

// measureRegister parses and loads many jobs.
func measureRegister(context.Context) ([]figures.Figure, error) {
	const jobs = 100_000
	var took []float64
	for range registerRuns {
		runtime.GC()
		began := time.Now()
		planned, err := cronJobs(jobs, began)
		if err != nil {
			return nil, err
		}
		var planner schedule.Planner
		planner.Load(planned)
		took = append(took, time.Since(began).Seconds())
		if planner.Len() != jobs {
			return nil, fmt.Errorf("%d jobs planned, want %d", planner.Len(), jobs)
		}
	}
	return []figures.Figure{figures.New("100,000 jobs", "s", took, figures.AtMost(0.5))}, nil
}

// measureNext asks for one instant after the other.
func measureNext(context.Context) ([]figures.Figure, error) {
	cron, err := schedule.ParseCron("*/5 * * * *", "")
	if err != nil {
		return nil, err
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var took, allocated []float64
	for range nextRuns {
		result := testing.Benchmark(func(b *testing.B) {
			b.Helper()
			b.ReportAllocs()
			at := start
			for b.Loop() {
				if at = cron.Next(at); at.Year() > 2030 {
					at = start
				}
			}
		})
		took = append(took, float64(result.T.Nanoseconds())/float64(result.N)/1000)
		allocated = append(allocated, float64(result.AllocsPerOp()))
	}
	return []figures.Figure{
		figures.New("Next of */5 * * * *", "µs", took, figures.AtMost(0.5)),
		figures.New("its allocations", "", allocated, figures.AtMost(0)),
	}, nil
}
