package runner_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/core/runner"
)

func TestStoreClockGoesOnFromItsLastSample(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	host := start
	clock := runner.NewStoreClock(func() time.Time { return host })
	if got := clock.Now(); !got.Equal(start) || got.Location() != time.UTC {
		t.Errorf("Now() = %s before any sample, want the host's %s", got, start)
	}
	store := start.Add(time.Hour)
	if step := clock.Sample(store, host.Add(-50*time.Millisecond), host.Add(50*time.Millisecond)); step != 0 {
		t.Errorf("first Sample() = %s, want 0s", step)
	}
	host = host.Add(10 * time.Second)
	if got, want := clock.Now(), store.Add(10*time.Second); !got.Equal(want) {
		t.Errorf("Now() = %s, want %s", got, want)
	}
	// The answer took a tenth of a second: the store was asked in the middle.
	if step := clock.Sample(store.Add(8*time.Second), host.Add(-50*time.Millisecond), host.Add(50*time.Millisecond)); step != -2*time.Second {
		t.Errorf("Sample() = %s, want -2s", step)
	}
	if got, want := clock.Now(), store.Add(8*time.Second); !got.Equal(want) {
		t.Errorf("Now() = %s, want %s", got, want)
	}
}

func TestStoreClockGoesOnThroughASampleThatTookLong(t *testing.T) {
	t.Parallel()
	host := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := runner.NewStoreClock(func() time.Time { return host })
	store := host.Add(time.Hour)
	clock.Sample(store, host, host)
	for _, read := range []time.Duration{0, 4 * time.Second, 8 * time.Second} {
		if step := clock.Sample(store.Add(read), host, host.Add(8*time.Second)); step != 0 {
			t.Errorf("Sample() of a time read %s into a call of 8s = %s, want 0s", read, step)
		}
		if got := clock.Now(); !got.Equal(store) {
			t.Errorf("Now() = %s after a sample read %s into a call of 8s, want %s", got, read, store)
		}
	}
	if step := clock.Sample(store.Add(17*time.Second), host, host.Add(8*time.Second)); step != 9*time.Second {
		t.Errorf("Sample() of a time that nobody can have read = %s, want 9s", step)
	}
}

func TestStoreClockTakesASharpSampleAfterABluntOne(t *testing.T) {
	t.Parallel()
	host := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := runner.NewStoreClock(func() time.Time { return host })
	// The store was away as the worker started: it answered at the very end.
	store := host.Add(time.Hour)
	clock.Sample(store, host.Add(-20*time.Second), host)
	if got := clock.Now(); !got.Equal(store) {
		t.Errorf("Now() = %s, want %s", got, store)
	}
	// It was not the very end after all.
	host = host.Add(time.Second)
	if step := clock.Sample(store.Add(4*time.Second), host, host); step != 0 {
		t.Errorf("Sample() = %s, want 0s: the one before left that open", step)
	}
	if got, want := clock.Now(), store.Add(4*time.Second); !got.Equal(want) {
		t.Errorf("Now() = %s, want %s", got, want)
	}
	if step := clock.Sample(store, host, host); step != -4*time.Second {
		t.Errorf("Sample() = %s, want -4s", step)
	}
}

func TestStoreClockIgnoresStepsOfTheWallClock(t *testing.T) {
	t.Parallel()
	host := time.Now()
	clock := runner.NewStoreClock(func() time.Time { return host })
	store := time.Date(2030, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 3600))
	clock.Sample(store, host, host)
	// Later carries a monotonic reading a minute on; its wall time is what the
	// operating system says, which the clock must not ask.
	host = host.Add(time.Minute)
	if got, want := clock.Now(), store.Add(time.Minute); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Now() = %s, want %s in UTC", got, want)
	}
}
