package sim_test

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/taktwork/takt/core/runner"
)

var seeds = flag.Uint64("seeds", 1, "how many seeds to simulate")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// calm are intervals for weeks in which nothing goes wrong.
var calm = runner.Timing{
	Sync: time.Minute, ClaimLease: 15 * time.Minute, JobLease: time.Hour, Recover: time.Hour,
}

// In spring and in autumn the clocks change: in America on 8 March and 1 November 2026, in
// Europe on 29 March and 25 October.
var (
	spring = time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
	autumn = time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC)
)

const worstShown = 5

// report shows the faults of a simulation and how to see it again.
func report(t *testing.T, seed uint64, faults []string) {
	t.Helper()
	for i, fault := range faults {
		if i == worstShown {
			t.Errorf("… and %d more", len(faults)-i)
			break
		}
		t.Errorf("seed %d: %s", seed, fault)
	}
}

func TestScheduler_doesForAMonthWhatTheModelSays(t *testing.T) {
	parts := []struct {
		name  string
		start time.Time
		days  int
	}{{"spring", spring, 22}, {"autumn", autumn, 9}}
	for seed := range *seeds {
		for _, part := range parts {
			if testing.Short() || raced {
				part.days = 2
			}
			t.Run(fmt.Sprintf("%s/seed=%d", part.name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := build(t, plan{
						seed: seed, start: part.start, lasts: time.Duration(part.days) * 24 * time.Hour,
						jobs: 100, replicas: 1, timing: calm,
					})
					w.run(t, nil)
					report(t, seed, w.check())
					if n := len(w.records); n < 1000*part.days {
						t.Errorf("%d decisions were recorded in %d days, want a busy time", n, part.days)
					}
				})
			})
		}
	}
}
