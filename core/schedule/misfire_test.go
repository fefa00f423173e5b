package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/schedule"
)

// missed is what the planner would hand out for a schedule between two moments.
func missed(t testing.TB, s schedule.Schedule, cursor, now time.Time) schedule.Due {
	t.Helper()
	d := schedule.Due{ID: "job", Schedule: s, Cursor: cursor, First: s.Next(cursor), Latest: schedule.Latest(s, cursor, now), Count: s.Count(cursor, now)}
	if d.Count == 0 {
		t.Fatalf("nothing is due between %s and %s", cursor, now)
	}
	return d
}

func texts(decisions []schedule.Decision) (got []string) {
	for _, d := range decisions {
		got = append(got, d.String())
	}
	return got
}

func TestMisfiresAreDecidedByThePolicy(t *testing.T) {
	t.Parallel()
	hourly, second := every(t, time.Hour, 0), every(t, time.Second, 0)
	tests := []struct {
		name        string
		rules       schedule.Misfire
		schedule    schedule.Schedule
		cursor, now string
		want        []string
	}{
		{
			"a tick on time runs",
			schedule.Misfire{},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z",
			[]string{"2026-01-01T04:00:00Z fired (due, late 0s)"},
		},
		{
			"a tick as late as may be just runs",
			schedule.Misfire{Policy: schedule.MisfireSkip},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T04:00:10Z",
			[]string{"2026-01-01T04:00:00Z fired (due, late 10s)"},
		},
		{
			"skip runs no missed tick",
			schedule.Misfire{Policy: schedule.MisfireSkip},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T05:00:10.001Z",
			[]string{"2026-01-01T04:00:00Z skipped (misfire_skip, late 1h0m10.001s)", "2026-01-01T05:00:00Z skipped (misfire_skip, late 10.001s)"},
		},
		{
			"once runs the latest missed tick",
			schedule.Misfire{},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T06:20:00Z",
			[]string{
				"2026-01-01T04:00:00Z coalesced (newer_tick, late 2h20m0s) into 2026-01-01T06:00:00Z",
				"2026-01-01T05:00:00Z coalesced (newer_tick, late 1h20m0s) into 2026-01-01T06:00:00Z",
				"2026-01-01T06:00:00Z fired (catch_up, late 20m0s)",
			},
		},
		{
			"once leaves a tick that is past its grace",
			schedule.Misfire{Grace: 10 * time.Minute},
			hourly, "2026-01-01T04:00:00Z", "2026-01-01T06:20:00Z",
			[]string{"2026-01-01T05:00:00Z skipped (past_grace, late 1h20m0s)", "2026-01-01T06:00:00Z skipped (past_grace, late 20m0s)"},
		},
		{
			"the default grace ends after an hour",
			schedule.Misfire{},
			parse(t, "0 3 * * *", ""), "2026-01-01T03:00:00Z", "2026-01-02T04:00:01Z",
			[]string{"2026-01-02T03:00:00Z skipped (past_grace, late 1h0m1s)"},
		},
		{
			"the default grace of a last tick is an hour",
			schedule.Misfire{},
			once(at(t, "2026-01-02T03:00:00Z")), "2026-01-01T03:00:00Z", "2026-01-02T04:00:00Z",
			[]string{"2026-01-02T03:00:00Z fired (catch_up, late 1h0m0s)"},
		},
		{
			"a tick that is only late stands for the missed ones",
			schedule.Misfire{},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T05:00:03Z",
			[]string{
				"2026-01-01T04:00:00Z coalesced (newer_tick, late 1h0m3s) into 2026-01-01T05:00:00Z",
				"2026-01-01T05:00:00Z fired (due, late 3s)",
			},
		},
		{
			"all runs every missed tick",
			schedule.Misfire{Policy: schedule.MisfireAll},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T05:00:11Z",
			[]string{"2026-01-01T04:00:00Z fired (catch_up, late 1h0m11s)", "2026-01-01T05:00:00Z fired (catch_up, late 11s)"},
		},
		{
			"all runs the latest up to the cap",
			schedule.Misfire{Policy: schedule.MisfireAll, Cap: 1},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T06:00:00Z",
			[]string{
				"2026-01-01T04:00:00Z skipped (over_cap, late 2h0m0s)", "2026-01-01T05:00:00Z fired (catch_up, late 1h0m0s)",
				"2026-01-01T06:00:00Z fired (due, late 0s)",
			},
		},
		{
			"a negative cap runs none",
			schedule.Misfire{Policy: schedule.MisfireAll, Cap: -1},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T04:30:00Z",
			[]string{"2026-01-01T04:00:00Z skipped (over_cap, late 30m0s)"},
		},
		{
			"many ticks are one range",
			schedule.Misfire{Policy: schedule.MisfireSkip, After: time.Second},
			second, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z",
			[]string{
				"2026-01-01T00:00:01Z to 2026-01-01T23:59:58Z, 86398 ticks, skipped (misfire_skip, late 2s)",
				"2026-01-01T23:59:59Z fired (due, late 1s)",
				"2026-01-02T00:00:00Z fired (due, late 0s)",
			},
		},
		{
			"a clock that went back since makes no misfire",
			schedule.Misfire{},
			hourly, "2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z",
			[]string{"2026-01-01T04:00:00Z fired (due, late 0s)"},
		},
	}
	for _, test := range tests {
		now := at(t, test.now)
		got := texts(test.rules.Decide(nil, missed(t, test.schedule, at(t, test.cursor), now), now))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
	}
}

func TestATooFastScheduleRunsItsLatestTicksOnly(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-01-01T00:00:05Z")
	got := schedule.Misfire{}.Decide(nil, missed(t, every(t, time.Millisecond, 0), now.Add(-5*time.Second), now), now)
	if len(got) != 1+schedule.MaxListed {
		t.Fatalf("%d decisions, want %d", len(got), 1+schedule.MaxListed)
	}
	want := "2026-01-01T00:00:00.001Z to 2026-01-01T00:00:04Z, 4000 ticks, coalesced (newer_tick, late 1s) into 2026-01-01T00:00:04.001Z"
	if got[0].String() != want {
		t.Errorf("first decision %q, want %q", got[0], want)
	}
}

// Every instant gets one decision, in order, whatever the rules and the gap.
func TestDecisionsCoverEveryInstantOnce(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(11, 5))
	schedules := []schedule.Schedule{
		every(t, 20*time.Millisecond, 0), every(t, time.Second, 0), every(t, 7*time.Minute, time.Second),
		parse(t, "* * * * * *", ""), parse(t, "*/15 2 * * *", "America/New_York"), parse(t, "0 * * * *", ""),
	}
	for range 300 {
		s := schedules[random.IntN(len(schedules))]
		rules := schedule.Misfire{
			Policy: schedule.MisfirePolicy(random.IntN(3)),
			After:  time.Duration(random.Int64N(int64(30 * time.Second))),
			Grace:  time.Duration(random.Int64N(int64(2 * time.Hour))),
			Cap:    random.IntN(1500),
		}
		cursor := at(t, "2026-03-08T00:00:00Z")
		now := s.Next(cursor).Add(time.Duration(random.Int64N(1 << (30 + random.IntN(20)))))
		d := missed(t, s, cursor, now)
		decisions := rules.Decide(nil, d, now)
		checkDecisions(t, fmt.Sprintf("%s %+v at %s", s, rules, now), d, decisions)
	}
}

func checkDecisions(t *testing.T, what string, d schedule.Due, decisions []schedule.Decision) {
	t.Helper()
	cursor, total, catchUps := d.Cursor, int64(0), 0
	for _, decision := range decisions {
		if !decision.First.Equal(d.Schedule.Next(cursor)) || decision.Count != d.Schedule.Count(cursor, decision.Last) {
			t.Fatalf("%s: after %s comes %s", what, cursor, decision)
		}
		if decision.Verdict == schedule.Fired && decision.Count != 1 {
			t.Fatalf("%s: %s runs as a range", what, decision)
		}
		if decision.Reason == schedule.ReasonCatchUp {
			catchUps++
		}
		cursor, total = decision.Last, total+decision.Count
	}
	if total != d.Count || !cursor.Equal(d.Latest) {
		t.Fatalf("%s: decided %d up to %s, want %d up to %s", what, total, cursor, d.Count, d.Latest)
	}
	if catchUps > schedule.MaxListed || len(decisions) > 4*schedule.MaxListed {
		t.Fatalf("%s: %d catch-ups in %d decisions, want bounds kept", what, catchUps, len(decisions))
	}
}

func TestPoliciesAndVerdictsHaveNames(t *testing.T) {
	t.Parallel()
	for _, p := range []schedule.MisfirePolicy{schedule.MisfireOnce, schedule.MisfireSkip, schedule.MisfireAll} {
		if got, err := schedule.ParseMisfirePolicy(p.String()); got != p || err != nil {
			t.Errorf("ParseMisfirePolicy(%s) = %s, %v", p, got, err)
		}
	}
	_, err := schedule.ParseMisfirePolicy("twice")
	got := []string{fmt.Sprint(err), fmt.Sprint(schedule.MisfirePolicy(9)), fmt.Sprint(schedule.Fired, schedule.Skipped, schedule.Coalesced, schedule.Verdict(9))}
	want := []string{`unknown misfire policy "twice"; use once, skip or all`, "policy(9)", "fired skipped coalesced verdict(9)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnOrdinaryDecisionAllocatesNothing(t *testing.T) {
	now := at(t, "2026-01-01T04:00:00Z")
	d := missed(t, every(t, time.Hour, 0), now.Add(-time.Hour), now)
	list := make([]schedule.Decision, 0, 1)
	if n := testing.AllocsPerRun(100, func() { list = schedule.Misfire{}.Decide(list[:0], d, now) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
