package torture_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// redriven are the steps between a claim and the settlement at which a worker
// is killed. A dispatch at once has fewer.
func redriven(kind dispatcherKind) []string {
	calls, steps := []string{"dispatch"}, []string{}
	if kind == inSteps {
		calls = []string{"claim", "start", "dispatch", "renew", "enqueue", "finish", "settle"}
		steps = []string{"payload begins", "payload ends", "after reserve", "handler begins", "handler ends"}
	}
	if kind == atOnce && everything() {
		calls = []string{"claim", "start", "dispatch", "settle"}
	}
	for _, call := range calls {
		steps = append(steps, "before "+call, "after "+call)
	}
	return steps
}

// TestAKillAtAnyStepOfATickLeavesItsJobOnce kills a worker at each step that a
// tick takes from its claim to the settlement of its job, while another one
// ticks and works as well. Jobs are removed as they complete.
func TestAKillAtAnyStepOfATickLeavesItsJobOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []dispatcherKind{inSteps, atOnce} {
		for _, step := range redriven(kind) {
			t.Run(string(kind)+"/"+step, func(t *testing.T) {
				t.Parallel()
				for _, after := range sized([]int{3}, []int{1, 2, 3, 5}) {
					killAtStep(t, kind, step, after)
				}
			})
		}
	}
}

const tickTime = 250 * time.Millisecond

func killAtStep(t *testing.T, kind dispatcherKind, step string, after int) {
	t.Helper()
	server, d := redistest.Start(t), newDesk(t)
	var jitter time.Duration
	if strings.HasSuffix(step, "start") {
		jitter = 50 * time.Millisecond
	}
	d.watchServer(t, server)
	ticker := part{
		Role: worker, Name: "calm", Addr: server.Addr, File: d.effects(), Concurrency: 5, Most: 5 * time.Millisecond,
		Jobs: 4, Tick: tickTime, Jitter: jitter, Dispatcher: kind,
	}
	calm := d.launch(t, ticker)
	from := instant()
	ticker.Name, ticker.TrapStep, ticker.TrapAfter = "trapped", step, after
	trapped := d.launch(t, ticker)
	select {
	case <-trapped.done:
	case <-time.After(patience):
		t.Fatalf("nobody came %s", step)
	}
	d.note(t, blow{Kind: killedWorker, PID: trapped.pid(), From: from, Until: instant()})
	// Ticks that were under way are driven again when their claim runs out, and
	// jobs when their lease does and two scans have not met it.
	rest(leaseTime + 2*stalledTime + time.Second)
	// The last ticks of a worker that stops are for others to work.
	last := d.launch(t, part{Role: worker, Name: "last", Addr: server.Addr, File: d.effects(), Concurrency: 5})
	calm.stop()
	awaitEnd(t, server)
	last.stop()
	sum := judgedTicks(t, d, server, rules{concurrency: 5, workers: 2, crashes: 2, interval: tickTime})
	if least := 4 * int(leaseTime/tickTime); sum.accepted < least {
		t.Errorf("%d ticks, want at least %d", sum.accepted, least)
	}
}
