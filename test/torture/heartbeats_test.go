package torture_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/app/lifecycle"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// beating returns a program whose heartbeat comes every second, on the queue
// that the tests look at.
func (d desk) beating(t *testing.T, name, addr string) part {
	t.Helper()
	return d.programPart(t, name, addr, "WORKER_DEFAULT_QUEUE="+queueName, "WORKER_HEARTBEAT_CRON=* * * * * *")
}

// claimLasts is the lease of claims in the worker's own timing.
const claimLasts = 15 * time.Second

// TestThreeReplicasLeaveOneHeartbeatJobForEachSecond runs three replicas of the
// worker itself, with its own heartbeat and its own timing, and kills one of
// them every five seconds. Two live at any time.
func TestThreeReplicasLeaveOneHeartbeatJobForEachSecond(t *testing.T) {
	t.Parallel()
	lasts := sized(time.Minute, 10*time.Minute)
	if testing.Short() {
		lasts = 20 * time.Second
	}
	server, d := redistest.Start(t, "--appendonly", "yes"), newDesk(t)
	started := 0
	replica := func() *process {
		started++
		return d.launch(t, d.beating(t, fmt.Sprint("r", started), server.Addr))
	}
	fleet := []*process{replica(), replica(), replica()}
	pace := time.NewTicker(5 * time.Second)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < lasts; <-pace.C {
		rest(rand.N(time.Second))
		i := rand.IntN(len(fleet))
		d.strike(t, killedWorker, fleet[i])
		fleet[i] = replica()
	}
	// What a replica had claimed as it was killed comes when its claim ends.
	await(t, "a heartbeat for each second", claimLasts+patience, func() bool { return len(missingBeats(heartbeats(t, server))) == 0 })
	for _, r := range fleet {
		r.stop()
	}
	beats := heartbeats(t, server)
	// The first replica takes its time to start.
	if least := int((lasts - 5*time.Second) / time.Second); len(beats) < least {
		t.Errorf("%d heartbeats in %s, want at least %d", len(beats), lasts, least)
	}
	report(t, missingBeats(beats))
	t.Logf("%d heartbeats", len(beats))
}

// heartbeats returns the planned seconds of the heartbeat jobs in the queue,
// in order, whatever their state, as plain commands find them.
func heartbeats(t *testing.T, server *redistest.Server) []int64 {
	t.Helper()
	found, err := readContents(t.Context(), server.Client())
	if err != nil {
		t.Fatal(err)
	}
	var beats []int64
	for id, places := range found.places {
		if !strings.HasPrefix(id, "tick."+lifecycle.HeartbeatJob+".") {
			continue
		}
		beat, err := parseTick(id)
		if err != nil || len(places) != 1 || beat.at%1000 != 0 {
			t.Errorf("job %s in %v, %v; want a whole second, and one place", id, places, err)
		}
		beats = append(beats, beat.at/1000)
	}
	slices.Sort(beats)
	return beats
}

// missingBeats tells the seconds between the first and the last that have none.
func missingBeats(beats []int64) []string {
	var wrong []string
	for i := 1; i < len(beats); i++ {
		for missing := beats[i-1] + 1; missing < beats[i]; missing++ {
			wrong = append(wrong, fmt.Sprintf("no heartbeat at %s", time.Unix(missing, 0).UTC().Format(time.TimeOnly)))
		}
	}
	return wrong
}

func TestMissingBeatsAreFound(t *testing.T) {
	if got := missingBeats([]int64{5, 6, 7}); len(got) > 0 {
		t.Errorf("missingBeats = %q, want none", got)
	}
	if got := missingBeats([]int64{5, 7, 10}); len(got) != 3 {
		t.Errorf("missingBeats = %q, want three", got)
	}
}

// TestAHeartbeatDoesNotWaitForThatOfADeadReplica kills a replica between the
// claim of a heartbeat and its dispatch. The claim lasts for fifteen seconds,
// and the heartbeats of the others go on.
func TestAHeartbeatDoesNotWaitForThatOfADeadReplica(t *testing.T) {
	t.Parallel()
	server, d := redistest.Start(t), newDesk(t)
	p := proxy.Start(t, server.Addr)
	p.Set(proxy.Every(1, proxy.Verdict{Kind: proxy.DropRequest}, func(request []byte) bool {
		return bytes.Contains(request, []byte(lifecycle.HeartbeatJob)) && bytes.Contains(request, []byte(`"timestamp"`))
	}))
	dying := d.launch(t, d.beating(t, "dying", p.Addr))
	await(t, "a heartbeat that is claimed", patience, func() bool { return p.Count(proxy.DropRequest) > 0 })
	d.strike(t, killedWorker, dying)
	if beats := heartbeats(t, server); len(beats) > 0 {
		t.Fatalf("heartbeats at %v, want none yet", beats)
	}
	living := d.launch(t, d.beating(t, "living", server.Addr))
	await(t, "the program to work", patience, func() bool { return strings.Contains(living.text(), "worker ready") })
	await(t, "three heartbeats", 8*time.Second, func() bool { return len(heartbeats(t, server)) >= 3 })
	living.stop()
}
