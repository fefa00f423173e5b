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
	if step := clock.Sample(store, host.Add(-time.Second), host.Add(time.Second)); step != 0 {
		t.Errorf("first Sample() = %s, want 0s", step)
	}
	host = host.Add(10 * time.Second)
	if got, want := clock.Now(), store.Add(10*time.Second); !got.Equal(want) {
		t.Errorf("Now() = %s, want %s", got, want)
	}
	// The answer took two seconds: the store was asked in the middle.
	if step := clock.Sample(store.Add(8*time.Second), host.Add(-time.Second), host.Add(time.Second)); step != -2*time.Second {
		t.Errorf("Sample() = %s, want -2s", step)
	}
	if got, want := clock.Now(), store.Add(8*time.Second); !got.Equal(want) {
		t.Errorf("Now() = %s, want %s", got, want)
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
