package schedule_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

func BenchmarkNext(b *testing.B) {
	schedules := []schedule.Schedule{
		parse(b, "* * * * * *", ""), parse(b, "*/5 * * * *", ""), parse(b, "*/5 * * * *", "America/New_York"),
		parse(b, "0 3 * * *", "America/New_York"), parse(b, "0 0 29 2 *", "America/New_York"),
		parse(b, "0 3 * * 1-5", "Africa/Casablanca"), every(b, time.Second, 0),
	}
	for _, s := range schedules {
		b.Run(fmt.Sprint(s), func(b *testing.B) {
			b.ReportAllocs()
			start := at(b, "2026-01-01T00:00:00Z")
			t := start
			for b.Loop() {
				if t = s.Next(t); t.Year() > 2030 {
					t = start
				}
			}
		})
	}
}

func BenchmarkLatestAfterAYearOfSeconds(b *testing.B) {
	s := parse(b, "* * * * * *", "Europe/Berlin")
	from := at(b, "2025-01-01T00:00:00Z")
	to := from.AddDate(1, 0, 0)
	for b.Loop() {
		schedule.Latest(s, from, to)
		s.Count(from, to)
	}
}

// BenchmarkPlanner wakes once per virtual second, when all the jobs are due. It
// reports the share of a core this takes, and how long after the wake half of
// the jobs, and all but one in a hundred, were handed out.
func BenchmarkPlanner(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			now := at(b, "2026-01-01T00:00:00Z")
			var p schedule.Planner
			p.Load(perSecond(b, n, now))
			var late []time.Duration
			seen := 0
			var wake time.Time
			emit := func(schedule.Due) {
				if seen++; seen%97 == 0 {
					late = append(late, time.Since(wake))
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				wake = time.Now()
				p.Due(now, emit)
			}
			if seen != n*b.N {
				b.Fatalf("%d ticks in %d seconds, want %d", seen, b.N, n*b.N)
			}
			slices.Sort(late)
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "cores")
			b.ReportMetric(late[len(late)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(late[len(late)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}

func BenchmarkRegister100k(b *testing.B) {
	now := at(b, "2026-01-01T00:00:00Z")
	b.ReportAllocs()
	for b.Loop() {
		var p schedule.Planner
		p.Load(perSecond(b, 100_000, now))
	}
}

func BenchmarkRegister100kOneByOne(b *testing.B) {
	now := at(b, "2026-01-01T00:00:00Z")
	for b.Loop() {
		var p schedule.Planner
		for _, job := range perSecond(b, 100_000, now) {
			p.Set(job)
		}
	}
}

// perSecond makes jobs that run every second, each parsed from an expression of its own.
func perSecond(b *testing.B, n int, now time.Time) []schedule.Planned {
	b.Helper()
	var parser schedule.Parser
	jobs := make([]schedule.Planned, n)
	for i := range jobs {
		expr := fmt.Sprintf("*,%d *,%d *,%d * * *", i%60, i/60%60, i/3600%24)
		zone := []string{"UTC", "Europe/Berlin", "America/New_York"}[i%3]
		c, err := parser.Cron(expr, zone)
		if err != nil {
			b.Fatal(err)
		}
		jobs[i] = schedule.Planned{ID: fmt.Sprint("job-", i), Schedule: c, Cursor: now}
	}
	return jobs
}
