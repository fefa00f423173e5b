package redisqueue_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/test/redistest"
)

// A node hands its slots over with all that it has: whatever was answered holds.
func TestNoJobIsLostOrDoneTwiceWhenANodeHandsItsPlaceOver(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	open := func() *redisqueue.Backend { return openCluster(t, cluster, nil) }
	load := startLoad(t, time.Hour, open)
	load.reach(50)
	for range 2 {
		cluster.HandOver("{bull}")
		load.after()
	}
	if lost, twice := load.drain(open()); len(lost)+len(twice) > 0 {
		t.Errorf("of %d jobs %v are lost and %v done twice, want none", len(load.accepted), lost, twice)
	}
}

// Sentinels do not wait until the replica has all: what it has not is named.
func TestWorkGoesOnWhenSentinelsHandThePrimaryOver(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t, 2)
	log := &diary{}
	open := func() *redisqueue.Backend {
		return openSentinels(t, sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	}
	load := startLoad(t, 10*time.Second, open)
	load.reach(50)
	sentinels.HandOver()
	load.after()
	lost, twice := load.drain(open())
	load.wantNamed(log, lost, twice)
}

// A node that writes down what it answers loses nothing when it starts again.
// It says for two seconds that the cluster is down, and is waited for.
func TestNoJobIsLostOrDoneTwiceWhenANodeStartsAgain(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, "--cluster-node-timeout", "60000", "--appendonly", "yes", "--appendfsync", "always")
	log := &diary{}
	open := func() *redisqueue.Backend {
		return openCluster(t, cluster, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	}
	load := startLoad(t, time.Hour, open)
	load.reach(50)
	cluster.Owner("{bull}").Restart()
	load.after()
	if lost, twice := load.drain(open()); len(lost)+len(twice) > 0 {
		t.Errorf("of %d jobs %v are lost and %v done twice, want none: %s", len(load.accepted), lost, twice, log)
	}
	if !strings.Contains(log.String(), "CLUSTERDOWN") {
		t.Errorf("the log is %s; want that the node said CLUSTERDOWN", log)
	}
	if strings.Contains(log.String(), "a failover lost") {
		t.Errorf("the log is %s; want nothing lost", log)
	}
}
