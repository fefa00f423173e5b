package torture_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// TestEachSecondHasOneHeartbeatWhileReplicasDie runs three replicas that tick
// every second on one Redis, and kills one of them every five seconds. Two
// live at any time, so that no second may be without its heartbeat.
func TestEachSecondHasOneHeartbeatWhileReplicasDie(t *testing.T) {
	t.Parallel()
	lasts := sized(20*time.Second, 3*time.Minute)
	server, d := redistest.Start(t, "--appendonly", "yes"), newDesk(t)
	d.watchServer(t, server)
	started := 0
	replica := func() *process {
		started++
		return d.launch(t, part{
			Role: worker, Name: fmt.Sprint("r", started), Addr: server.Addr, File: d.effects(), Concurrency: 5,
			Jobs: 1, Tick: time.Second, Dispatcher: atOnce,
		})
	}
	fleet := []*process{replica(), replica(), replica()}
	pace := time.NewTicker(5 * time.Second)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < lasts; <-pace.C {
		// Somewhere in the second, not always at the same place.
		rest(rand.N(time.Second))
		i := rand.IntN(len(fleet))
		d.strike(t, killedWorker, fleet[i])
		fleet[i] = replica()
	}
	rest(leaseTime + 2*stalledTime + time.Second)
	last := d.launch(t, part{Role: worker, Name: "last", Addr: server.Addr, File: d.effects(), Concurrency: 5})
	for _, r := range fleet {
		r.stop()
	}
	awaitEnd(t, server)
	last.stop()
	sum := judgedTicks(t, d, server, rules{concurrency: 5, workers: 4, crashes: 2, interval: time.Second})
	if least := int((lasts - 5*time.Second) / time.Second); sum.accepted < least {
		t.Errorf("%d heartbeats in %s, want at least %d", sum.accepted, lasts, least)
	}
}
