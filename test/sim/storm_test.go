package sim_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

// stormy are intervals for days in which much goes wrong. Leases outlast all
// of it: a run whose lease is lost is driven twice, and that is not at issue.
var stormy = runner.Timing{Sync: 5 * time.Second, ClaimLease: 24 * time.Hour, JobLease: 24 * time.Hour, Recover: time.Hour}

// storm steps the store's clock to and fro, which is also what a suspended
// host sees when it wakes up, and cuts the fleet off from its ledger.
func (w *world) storm(dice *rand.Rand) {
	time.Sleep(time.Duration(1+dice.IntN(40)) * time.Minute)
	length := time.Duration(1+dice.IntN(3600)) * time.Second >> dice.IntN(12)
	switch dice.IntN(4) {
	case 0, 1:
		w.offset.Add(int64(length))
	case 2:
		w.offset.Add(-int64(length))
	case 3:
		w.down.Store(true)
		time.Sleep(length)
		w.down.Store(false)
	}
}

func TestFleet_decidesEachTickOnceInAStorm(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lasts := 3 * 24 * time.Hour
				if raced {
					lasts /= 3
				}
				w := build(t, plan{
					seed: seed, start: spring.Add(-24 * time.Hour), lasts: lasts,
					jobs: 60, replicas: 2, timing: stormy,
				})
				w.run(t, w.storm)
				report(t, seed, w.checkOnce())
				if n := w.count(func(r *domain.Record) bool { return r.Late > 10*time.Second }); n == 0 {
					t.Error("no tick was missed, want storms that matter")
				}
			})
		})
	}
}

// count returns how many records there are of the kind.
func (w *world) count(kind func(*domain.Record) bool) int {
	n := 0
	for i := range w.records {
		if kind(&w.records[i]) {
			n++
		}
	}
	return n
}

func TestFleet_decidesEachTickOnceInCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := build(t, plan{
			seed: 7, start: autumn, lasts: 2 * 24 * time.Hour, jobs: 60, replicas: 3, timing: calm,
		})
		w.run(t, nil)
		report(t, 7, w.checkOnce())
	})
}

// restless are intervals with leases that partitions outlast.
var restless = runner.Timing{Sync: 2 * time.Second, ClaimLease: 15 * time.Second, JobLease: 24 * time.Hour, Recover: time.Hour}

// partition cuts one replica off for a while.
func (w *world) partition(dice *rand.Rand) {
	time.Sleep(time.Duration(1+dice.IntN(600)) * time.Second)
	link := w.links[dice.IntN(len(w.links))]
	link.cut.Store(true)
	time.Sleep(time.Duration(1+dice.IntN(60)) * time.Second)
	link.cut.Store(false)
}

func TestFleet_drivesAgainWhatAPartitionCutsOffAndNothingElse(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := build(t, plan{
					seed: seed, start: autumn.Add(12 * time.Hour), lasts: 20 * time.Hour,
					jobs: 60, replicas: 3, timing: restless, stagger: 1237 * time.Millisecond,
				})
				w.run(t, w.partition)
				report(t, seed, w.checkDriven())
				if n := w.count(func(r *domain.Record) bool { return r.Event == domain.EventAbandoned }); n == 0 {
					t.Error("no run was taken over, want partitions that matter")
				}
			})
		})
	}
}
