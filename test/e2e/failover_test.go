package e2e_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/taktwork/takt/test/redistest"
)

func TestHealthTellsTheTruthOverAFailover(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t, 1)
	h := newHost(t, "REDIS_ENABLED=true", "REDIS_SENTINELS="+strings.Join(sentinels.Addrs(), ","), "REDIS_SENTINEL_NAME="+sentinels.Name)
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "health").want(t, 0, "ok: running")
	// No other server takes its place yet: a replica that hangs is not chosen.
	primary, replica := sentinels.Servers[0], sentinels.Servers[1]
	replica.Pause()
	primary.Kill()
	h.waitForHealth(t, 69, "redis has not answered for")
	h.ask(t, slowBin, "health", "live").want(t, 0)
	replica.Continue()
	sentinels.AwaitPrimary(primary)
	h.waitForHealth(t, 0, "ok: running")
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick").want(t, 0)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)
}

func TestAClusterWorksWithTheVariablesAlone(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 2)
	nodes := "REDIS_CLUSTER_NODES=" + strings.Join(cluster.Addrs(), ",")
	h := newHost(t, "REDIS_ENABLED=true", nodes, "WORKER_QUEUE_PREFIX={shop}")
	r := h.start(t, slowBin, "run")
	r.ready(t)
	h.ask(t, slowBin, "enqueue", "slow", "slow.quick").want(t, 0)
	r.signal(t, syscall.SIGTERM)
	r.exit(t, 0)

	unbraced := newHost(t, "REDIS_ENABLED=true", nodes)
	unbraced.ask(t, slowBin, "run").want(t, 78, "WORKER_QUEUE_PREFIX", "{bull}")
}
