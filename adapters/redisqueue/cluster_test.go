package redisqueue_test

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

// resumeGoal is how long after the new primary serves work must go on.
const resumeGoal = 10 * time.Second

// rounds is how many failovers a test makes.
func rounds() int {
	if os.Getenv("TAKT_TORTURE") == "all" {
		return 10
	}
	return 1
}

// wantResumed judges how long that took. Tests that run beside others are given
// three times as long.
func wantResumed(t *testing.T, took time.Duration) {
	t.Helper()
	goal := 3 * resumeGoal
	if os.Getenv("TAKT_TORTURE") == "all" {
		goal = resumeGoal
	}
	t.Logf("work goes on %s after the new primary serves", took.Round(time.Millisecond))
	if took > goal {
		t.Errorf("work goes on %s after the new primary serves, want %s at most", took, goal)
	}
}

func TestNoJobIsLostOrDoneTwiceWhileItsSlotMoves(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	open := func() *redisqueue.Backend { return openCluster(t, cluster, nil) }
	load := startLoad(t, time.Minute, open)
	load.reach(50)
	const tag = "{bull}"
	slot := cluster.Slot(tag)
	for i := range 6 {
		from := cluster.Owner(tag)
		to := cluster.Primaries[i%len(cluster.Primaries)]
		if to == from {
			continue
		}
		cluster.Move(slot, from, to)
		t.Logf("slot %d moved from %s to %s; the next jobs %s later", slot, from.Addr, to.Addr, load.after())
	}
	if lost, twice := load.drain(open()); len(lost)+len(twice) > 0 {
		t.Errorf("of %d jobs %v are lost and %v done twice, want none", len(load.accepted), lost, twice)
	}
}

func TestWorkGoesOnAfterANodeOfTheClusterDies(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	log := &diary{}
	open := func() *redisqueue.Backend {
		return openCluster(t, cluster, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	}
	load := startLoad(t, 10*time.Second, open)
	load.reach(50)
	for range rounds() {
		old := cluster.Owner("{bull}")
		old.Kill()
		killed := time.Now()
		_, serving := cluster.AwaitOwner("{bull}", old)
		t.Logf("the new primary serves %s after the old one died", serving.Sub(killed).Round(time.Millisecond))
		load.after()
		wantResumed(t, time.Since(serving))
		old.Restart()
		cluster.AwaitCalm()
	}
	lost, twice := load.drain(open())
	load.wantNamed(log, lost, twice)
}
