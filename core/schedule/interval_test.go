package schedule_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

func TestAnIntervalLiesOnAGridThatStartsAtTheEpoch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		interval, phase time.Duration
		after, want     string
	}{
		{time.Minute, 0, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"},
		{time.Minute, 0, "2026-01-01T00:00:59.999999999Z", "2026-01-01T00:01:00Z"},
		{time.Minute, 15 * time.Second, "2026-01-01T00:00:00Z", "2026-01-01T00:00:15Z"},
		{250 * time.Millisecond, 0, "2026-01-01T00:00:00.25Z", "2026-01-01T00:00:00.5Z"},
		{time.Millisecond, 0, "2026-01-01T00:00:00.0005Z", "2026-01-01T00:00:00.001Z"},
		{7 * time.Second, 0, "1969-12-31T23:59:50Z", "1969-12-31T23:59:53Z"},
		{7 * time.Second, 0, "1969-12-31T23:59:53Z", "1970-01-01T00:00:00Z"},
		{7 * time.Second, 2 * time.Second, "1969-12-31T23:59:55Z", "1970-01-01T00:00:02Z"},
		{24 * time.Hour, -time.Hour, "1970-01-01T00:00:00Z", "1970-01-01T23:00:00Z"},
		{time.Hour, 0, "1066-10-14T09:00:00Z", "1066-10-14T10:00:00Z"},
	}
	for _, test := range tests {
		e := every(t, test.interval, test.phase)
		if got := e.Next(at(t, test.after)); !got.Equal(at(t, test.want)) || got.Location() != time.UTC {
			t.Errorf("%s: Next(%s) = %s, want %s in UTC", e, test.after, got, test.want)
		}
	}
}

func TestIntervalsOutOfBoundsAreRefused(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{math.MinInt64, -time.Second, 0, 1, time.Millisecond - 1, 1500 * time.Microsecond, time.Second + 1, 366*24*time.Hour + 1, math.MaxInt64} {
		_, err := schedule.NewFastEvery(d, 0)
		if _, ok := errors.AsType[*schedule.IntervalError](err); !ok || errors.Is(err, schedule.ErrFastInterval) {
			t.Errorf("NewFastEvery(%s) = %v, want a plain *IntervalError", d, err)
		}
	}
	for _, d := range []time.Duration{schedule.MinInterval, 99 * time.Millisecond} {
		if _, err := schedule.NewEvery(d, 0); !errors.Is(err, schedule.ErrFastInterval) {
			t.Errorf("NewEvery(%s) = %v, want ErrFastInterval", d, err)
		}
		if _, err := schedule.NewFastEvery(d, 0); err != nil {
			t.Errorf("NewFastEvery(%s) = %v", d, err)
		}
	}
	for _, d := range []time.Duration{schedule.MinOrdinaryInterval, schedule.MaxInterval} {
		if _, err := schedule.NewEvery(d, 0); err != nil {
			t.Errorf("NewEvery(%s) = %v", d, err)
		}
	}
	_, err := schedule.NewEvery(0, 0)
	if got, want := fmt.Sprint(err), "interval 0s: too short; use 1ms or more"; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
}

func TestTheZeroIntervalHasNoInstants(t *testing.T) {
	t.Parallel()
	var e schedule.Every
	now := at(t, "2026-01-01T00:00:00Z")
	if next, n := e.Next(now), e.Count(now, now.Add(time.Hour)); !next.IsZero() || n != 0 {
		t.Errorf("Next = %s, Count = %d, want none", next, n)
	}
	if got := schedule.Latest(e, now, now.Add(time.Hour)); !got.IsZero() {
		t.Errorf("Latest = %s, want none", got)
	}
	if got := schedule.ShortestGap(e, now, time.Hour); got.Length != 0 {
		t.Errorf("ShortestGap = %+v, want none", got)
	}
}

func TestAnIntervalEndsWithTheYear9999(t *testing.T) {
	t.Parallel()
	e := every(t, time.Hour, 0)
	for _, after := range []time.Time{at(t, "9999-12-31T23:00:00Z"), time.Unix(1<<45, 0), time.Unix(math.MaxInt64/2, 0)} {
		if got := e.Next(after); !got.IsZero() {
			t.Errorf("Next(%s) = %s, want none", after, got)
		}
	}
}

// The phase is part of the contract between replicas of different versions.
func TestThePhaseIsStableAndSpread(t *testing.T) {
	t.Parallel()
	tests := []struct {
		namespace, name string
		interval, want  time.Duration
	}{
		{"default", "cleanup", time.Minute, 14_872 * time.Millisecond},
		{"default", "cleanuq", time.Minute, 27_963 * time.Millisecond},
		{"", "", schedule.MaxInterval, 14641038054 * time.Millisecond},
		{"a", "b", time.Millisecond, 0},
		{"a", "b", 0, 0},
	}
	for _, test := range tests {
		if got := schedule.Phase(test.namespace, test.name, test.interval); got != test.want {
			t.Errorf("Phase(%q, %q, %s) = %s, want %s", test.namespace, test.name, test.interval, got, test.want)
		}
	}
	if schedule.Phase("a", "bc", time.Hour) == schedule.Phase("ab", "c", time.Hour) {
		t.Error("namespace and name run together")
	}
	var tenths [10]int
	for i := range 10_000 {
		tenths[schedule.Phase("default", fmt.Sprint("job-", i), time.Minute)/(6*time.Second)]++
	}
	for i, n := range tenths {
		if n < 850 || n > 1150 {
			t.Errorf("%d of 10000 phases in tenth %d of the minute, want about 1000", n, i)
		}
	}
}

func TestCountAndLatestOfAnIntervalAgreeWithWalking(t *testing.T) {
	t.Parallel()
	e := every(t, 90*time.Second, 7*time.Second)
	from := at(t, "1969-12-31T22:00:00Z")
	next, n := e.Next(from), int64(0)
	for to := from.Add(-time.Minute); to.Before(from.Add(4 * time.Hour)); to = to.Add(500 * time.Millisecond) {
		latest := time.Time{}
		for !next.After(to) {
			n++
			next = e.Next(next)
		}
		if n > 0 {
			latest = next.Add(-90 * time.Second)
		}
		if got := e.Count(from, to); got != n {
			t.Fatalf("Count(%s, %s) = %d, want %d", from, to, got, n)
		}
		if got := schedule.Latest(e, from, to); !got.Equal(latest) {
			t.Fatalf("Latest(%s, %s) = %s, want %s", from, to, got, latest)
		}
	}
}

func TestAnIntervalTellsWhatItIs(t *testing.T) {
	t.Parallel()
	if got, want := every(t, 5*time.Minute, 0).String(), "every 5m0s"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := every(t, 5*time.Minute, 12500*time.Millisecond).String(), "every 5m0s+12.5s"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}
