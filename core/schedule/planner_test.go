package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/core/schedule"
)

func due(p *schedule.Planner, now time.Time) (all []schedule.Due) {
	p.Due(now, func(d schedule.Due) { all = append(all, d) })
	return all
}

func TestThePlannerHandsOutEveryInstantOnce(t *testing.T) {
	t.Parallel()
	start := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	s := every(t, time.Minute, 0)
	if !p.Set(schedule.Planned{ID: "a", Schedule: s, Cursor: start}) {
		t.Fatal("Set = false, want planned")
	}
	if got := due(&p, start.Add(59*time.Second)); got != nil {
		t.Errorf("Due before the first instant = %v, want none", got)
	}
	want := []schedule.Due{{ID: "a", Schedule: s, Cursor: start, First: start.Add(time.Minute), Latest: start.Add(time.Minute), Count: 1}}
	if diff := cmp.Diff(want, due(&p, start.Add(time.Minute))); diff != "" {
		t.Errorf("Due at the first instant, -want +got:\n%s", diff)
	}
	want = []schedule.Due{{ID: "a", Schedule: s, Cursor: start.Add(time.Minute), First: start.Add(2 * time.Minute), Latest: start.Add(24 * time.Hour), Count: 1439}}
	if diff := cmp.Diff(want, due(&p, start.Add(24*time.Hour))); diff != "" {
		t.Errorf("Due after a day, -want +got:\n%s", diff)
	}
	if got := due(&p, start.Add(12*time.Hour)); got != nil {
		t.Errorf("Due after the clock went back = %v, want none", got)
	}
	if cursor, ok := p.Cursor("a"); !ok || !cursor.Equal(start.Add(24*time.Hour)) {
		t.Errorf("Cursor = %s, %t", cursor, ok)
	}
}

func TestThePlannerEmitsInTheOrderOfInstants(t *testing.T) {
	t.Parallel()
	start := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	p.Load([]schedule.Planned{
		{ID: "hour", Schedule: every(t, time.Hour, 0), Cursor: start},
		{ID: "late", Schedule: parse(t, "30 0 * * *", ""), Cursor: start},
		{ID: "minute", Schedule: every(t, time.Minute, 0), Cursor: start},
		{ID: "never", Schedule: schedule.Every{}, Cursor: start},
		{ID: "hour", Schedule: every(t, 2*time.Hour, 0), Cursor: start},
	})
	if p.Len() != 3 {
		t.Errorf("Len = %d, want 3", p.Len())
	}
	p.Load([]schedule.Planned{{ID: "early", Schedule: every(t, time.Second, 0), Cursor: start}})
	var got []string
	p.Due(start.Add(3*time.Hour), func(d schedule.Due) { got = append(got, fmt.Sprint(d.ID, " ", d.Count)) })
	if diff := cmp.Diff([]string{"early 10800", "minute 180", "late 1", "hour 1"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestACursorNeverGoesBack(t *testing.T) {
	t.Parallel()
	start := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	p.Set(schedule.Planned{ID: "a", Schedule: every(t, time.Minute, 0), Cursor: start})
	if !p.SetCursor("a", start.Add(5*time.Minute)) {
		t.Error("SetCursor forward = false, want moved")
	}
	if p.SetCursor("a", start) || p.SetCursor("a", start.Add(5*time.Minute)) || p.SetCursor("b", start) {
		t.Error("SetCursor moved back, to itself, or an unknown job")
	}
	if got, want := p.NextDeadline(), start.Add(6*time.Minute); !got.Equal(want) {
		t.Errorf("NextDeadline = %s, want %s", got, want)
	}
	if !p.SetCursor("a", at(t, "9999-12-31T23:59:59Z")) || p.Len() != 0 || p.Remove("a") {
		t.Error("a job without an instant to come stays planned")
	}
	if _, ok := p.Cursor("a"); ok {
		t.Error("a removed job has a cursor")
	}
}

func TestAScheduleThatEndsLeavesThePlanner(t *testing.T) {
	t.Parallel()
	start := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	p.Set(schedule.Planned{ID: "once", Schedule: once(start.Add(time.Minute)), Cursor: start})
	p.Set(schedule.Planned{ID: "gone", Schedule: once(start), Cursor: start})
	if got := due(&p, start.Add(time.Hour)); len(got) != 1 || got[0].ID != "once" || p.Len() != 0 {
		t.Errorf("Due = %v, Len = %d, want one job and an empty planner", got, p.Len())
	}
	if got := p.NextDeadline(); !got.IsZero() {
		t.Errorf("NextDeadline = %s, want none", got)
	}
	p.Set(schedule.Planned{ID: "once", Schedule: once(start.Add(time.Minute)), Cursor: start})
	if p.Set(schedule.Planned{ID: "once", Schedule: schedule.Every{}, Cursor: start}) || p.Len() != 0 {
		t.Error("replacing a schedule by an empty one keeps the job")
	}
}

// once is a schedule with a single instant, known by its methods alone.
type once time.Time

func (o once) Next(after time.Time) time.Time {
	if time.Time(o).After(after) {
		return time.Time(o)
	}
	return time.Time{}
}

func (o once) Count(from, to time.Time) int64 {
	if time.Time(o).After(from) && !time.Time(o).After(to) {
		return 1
	}
	return 0
}

func TestCursorsBeyondTheReachOfNanosecondsStayExact(t *testing.T) {
	t.Parallel()
	var p schedule.Planner
	s := every(t, 24*time.Hour, 0)
	p.Set(schedule.Planned{ID: "a", Schedule: s})
	now := at(t, "2026-01-01T00:00:00Z")
	want := []schedule.Due{{ID: "a", Schedule: s, First: at(t, "0001-01-02T00:00:00Z"), Latest: now, Count: 739616}}
	if diff := cmp.Diff(want, due(&p, now)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p.Set(schedule.Planned{ID: "a", Schedule: s, Cursor: at(t, "2500-01-01T00:00:00Z")})
	if got := due(&p, at(t, "2400-01-01T00:00:00Z")); got != nil {
		t.Errorf("Due before the instant = %v, want none", got)
	}
	if got := due(&p, at(t, "2500-01-02T00:00:00Z")); len(got) != 1 || !got[0].First.Equal(at(t, "2500-01-02T00:00:00Z")) {
		t.Errorf("Due = %v, want the second day of 2500", got)
	}
}

func TestEmitMayCallThePlanner(t *testing.T) {
	t.Parallel()
	start := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	for i := range 10 {
		p.Set(schedule.Planned{ID: fmt.Sprint(i), Schedule: every(t, time.Second, 0), Cursor: start})
	}
	n := 0
	p.Due(start.Add(time.Second), func(d schedule.Due) {
		n++
		p.Remove(d.ID)
		p.Set(schedule.Planned{ID: "new " + d.ID, Schedule: d.Schedule, Cursor: d.Latest})
	})
	if n != 10 || p.Len() != 10 {
		t.Errorf("%d emitted, %d planned, want 10 and 10", n, p.Len())
	}
}

// model is what a job of the property test has been handed out so far.
type model struct {
	schedule schedule.Schedule
	start    time.Time
	cursor   time.Time
	count    int64
}

// Whatever the clock does, the instants of each job come once each and in order.
func TestClockStepsNeitherLoseNorDoubleAnInstant(t *testing.T) {
	t.Parallel()
	schedules := []schedule.Schedule{
		every(t, time.Second, 0), every(t, 250*time.Millisecond, 10*time.Millisecond), every(t, 7*time.Minute, 3*time.Second),
		parse(t, "* * * * * *", ""), parse(t, "*/15 2 * * *", "America/New_York"), parse(t, "*/7 * * * *", "Australia/Lord_Howe"),
		parse(t, "30 2,3 * * *", "America/New_York"), parse(t, "0 0 1 1 *", ""),
	}
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 99))
		now := at(t, "2026-03-08T04:00:00Z")
		var p schedule.Planner
		models := map[string]*model{}
		for i := range 20 {
			id := fmt.Sprint("job ", i)
			m := &model{schedule: schedules[random.IntN(len(schedules))], start: now}
			m.cursor = m.start
			models[id] = m
			p.Set(schedule.Planned{ID: id, Schedule: m.schedule, Cursor: m.start})
		}
		latest := now
		for range 60 {
			now = now.Add(clockStep(random))
			if now.After(latest) {
				latest = now
			}
			p.Due(now, func(d schedule.Due) { models[d.ID].take(t, d, now) })
			checkDeadline(t, &p, models)
		}
		for id, m := range models {
			if want := m.schedule.Count(m.start, latest); m.count != want {
				t.Fatalf("seed %d: %s (%s) had %d instants, want %d", seed, id, m.schedule, m.count, want)
			}
		}
	}
}

// clockStep is mostly a wake a little later, and sometimes a jump up to an hour either way.
func clockStep(random *rand.Rand) time.Duration {
	step := time.Duration(random.Int64N(int64(3 * time.Second)))
	switch random.IntN(4) {
	case 0:
		step = time.Second + time.Duration(random.Int64N(int64(time.Hour)))
	case 1:
		step = -time.Duration(random.Int64N(int64(time.Hour)))
	}
	return step
}

func (m *model) take(t *testing.T, d schedule.Due, now time.Time) {
	t.Helper()
	switch {
	case !d.Cursor.Equal(m.cursor):
		t.Fatalf("%s: cursor %s, want %s", d.ID, d.Cursor, m.cursor)
	case !d.First.Equal(m.schedule.Next(m.cursor)):
		t.Fatalf("%s: first %s, want %s", d.ID, d.First, m.schedule.Next(m.cursor))
	case d.Latest.After(now) || !m.schedule.Next(d.Latest).After(now):
		t.Fatalf("%s: latest %s is not the latest at %s", d.ID, d.Latest, now)
	}
	m.count += d.Count
	m.cursor = d.Latest
}

// checkDeadline compares the deadline with those of all the models.
func checkDeadline(t *testing.T, p *schedule.Planner, models map[string]*model) {
	t.Helper()
	var next time.Time
	for _, m := range models {
		if n := m.schedule.Next(m.cursor); next.IsZero() || n.Before(next) {
			next = n
		}
	}
	if got := p.NextDeadline(); !got.Equal(next) {
		t.Fatalf("NextDeadline = %s, want %s", got, next)
	}
}

// Jobs come and go in any order; the heap keeps finding the earliest.
func TestThePlannerFindsTheEarliestAfterManyChanges(t *testing.T) {
	t.Parallel()
	const ids = 2000
	random := rand.New(rand.NewPCG(3, 3))
	start := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	want := map[string]time.Time{}
	for i := range 40_000 {
		id := fmt.Sprint(random.IntN(ids))
		if i > ids && random.IntN(8) == 0 {
			if _, known := want[id]; p.Remove(id) != known {
				t.Fatalf("Remove(%s) = %t, want %t", id, !known, known)
			}
			delete(want, id)
		} else {
			next := start.Add(time.Duration(1+random.IntN(1000)) * time.Second)
			p.Set(schedule.Planned{ID: id, Schedule: once(next), Cursor: start})
			want[id] = next
		}
		if i%100 != 0 {
			continue
		}
		if broken := p.Broken(); broken != "" || p.Len() != len(want) {
			t.Fatalf("after %d changes: %d jobs, want %d; %s", i, p.Len(), len(want), broken)
		}
	}
	var last time.Time
	p.Due(start.Add(time.Hour), func(d schedule.Due) {
		if !d.First.Equal(want[d.ID]) || d.First.Before(last) {
			t.Fatalf("%s handed out at %s after %s, want %s", d.ID, d.First, last, want[d.ID])
		}
		last = d.First
		delete(want, d.ID)
	})
	if len(want) != 0 {
		t.Errorf("%d jobs were not handed out", len(want))
	}
}

// All jobs are due at each wake, which moves every node of the heap.
func TestTheHeapStaysInOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(8, 1))
	now := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	for i := range 1000 {
		interval := time.Duration(1+random.IntN(3)) * time.Second
		p.Set(schedule.Planned{ID: fmt.Sprint(i), Schedule: every(t, interval, time.Duration(random.IntN(2))*time.Second), Cursor: now})
	}
	for range 200 {
		now = now.Add(time.Second)
		p.Due(now, func(d schedule.Due) {
			if !d.First.Equal(now) || d.Count != 1 {
				t.Fatalf("Due(%s) hands out %+v, want one instant, now", now, d)
			}
			switch random.IntN(50) {
			case 0:
				p.Remove(fmt.Sprint(random.IntN(1000)))
			case 1:
				p.Set(schedule.Planned{ID: d.ID, Schedule: once(now.Add(time.Second)), Cursor: now})
			case 2:
				id := fmt.Sprint(random.IntN(1000))
				p.Set(schedule.Planned{ID: id, Schedule: every(t, time.Second, 0), Cursor: now})
			}
		})
		if broken := p.Broken(); broken != "" {
			t.Fatalf("at %s: %s", now, broken)
		}
	}
}

func TestDueAllocatesNothing(t *testing.T) {
	now := at(t, "2026-01-01T00:00:00Z")
	var p schedule.Planner
	for i := range 100 {
		p.Set(schedule.Planned{ID: fmt.Sprint(i), Schedule: parse(t, "* * * * * *", ""), Cursor: now})
	}
	n := 0
	emit := func(schedule.Due) { n++ }
	if allocs := testing.AllocsPerRun(100, func() { now = now.Add(time.Second); p.Due(now, emit) }); allocs != 0 {
		t.Errorf("%v allocations in Due, want none", allocs)
	}
	if n != 101*100 {
		t.Errorf("%d ticks, want 10100", n)
	}
}
