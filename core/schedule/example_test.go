package schedule_test

import (
	"fmt"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

func ExampleParseCron() {
	nightly, err := schedule.ParseCron("30 2 * * *", "America/New_York")
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC)
	for range 3 {
		at = nightly.Next(at)
		fmt.Printf("%s (%s)\n", at.In(nightly.Location()).Format(time.DateTime), nightly.Note(at))
	}
	// Output:
	// 2026-03-07 02:30:00 ()
	// 2026-03-08 03:30:00 (02:30 does not exist on this day: runs at 03:30)
	// 2026-03-09 02:30:00 ()
}

func ExampleParseError() {
	_, err := schedule.ParseCron("0 22-2 * * *", "")
	fmt.Println(err)
	// Output: cron "0 22-2 * * *": hour at column 3: range 22-2 wraps around; split it into 22-23,0-2
}

func ExampleNewEvery() {
	every, err := schedule.NewEvery(15*time.Minute, schedule.Phase("default", "cleanup", 15*time.Minute))
	if err != nil {
		panic(err)
	}
	fmt.Println(every, every.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).Format(time.TimeOnly))
	// Output: every 15m0s+10m14.872s 00:10:14
}

func ExampleTransitions() {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	year := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, change := range schedule.Transitions(zone, year, year.AddDate(1, 0, 0)) {
		fmt.Println(change)
	}
	// Output:
	// 2026-03-29: clocks go from 02:00 to 03:00
	// 2026-10-25: clocks go from 03:00 to 02:00
}

func ExamplePlanner() {
	start := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	hourly, err := schedule.ParseCron("@hourly", "")
	if err != nil {
		panic(err)
	}
	var planner schedule.Planner
	planner.Set(schedule.Planned{ID: "report", Schedule: hourly, Cursor: start})
	fmt.Println("next:", planner.NextDeadline().Format(time.TimeOnly))

	// The host slept until 06:20.
	now := start.Add(3*time.Hour + 20*time.Minute)
	planner.Due(now, func(due schedule.Due) {
		for _, decision := range (schedule.Misfire{}).Decide(nil, due, now) {
			fmt.Println(decision)
		}
	})
	// Output:
	// next: 04:00:00
	// 2026-01-01T04:00:00Z coalesced (newer_tick, late 2h20m0s) into 2026-01-01T06:00:00Z
	// 2026-01-01T05:00:00Z coalesced (newer_tick, late 1h20m0s) into 2026-01-01T06:00:00Z
	// 2026-01-01T06:00:00Z fired (catch_up, late 20m0s)
}
