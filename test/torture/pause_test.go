package torture_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// paused is a worker that is stopped for longer than its leases last, while
// jobs are under way.
type paused struct {
	// lasts is how long the jobs take the first time.
	lasts time.Duration
	// alone tells that no other worker takes the jobs over.
	alone bool
}

const (
	pausedSlots = 10
	// endsLate is how long jobs take that are to be over when the pause is,
	// and not when it begins.
	endsLate = 4 * time.Second
)

// TestAWorkerThatWasPausedForTooLongCannotWrite stops workers past their
// leases. When they go on, their handlers are told so, and nothing that they
// write takes effect.
func TestAWorkerThatWasPausedForTooLongCannotWrite(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]paused{
		"handlers go on":           {lasts: time.Minute},
		"handlers end at once":     {lasts: endsLate},
		"the same worker goes on":  {lasts: time.Minute, alone: true},
		"the same worker is ready": {lasts: endsLate, alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range sized(1, 13) {
				p.round(t)
			}
		})
	}
}

func (p paused) round(t *testing.T) {
	t.Helper()
	server, d := redistest.Start(t), newDesk(t)
	d.watchServer(t, server)
	client := server.Client()
	another := func(name string) *process {
		return d.launch(t, part{Role: worker, Name: name, Addr: server.Addr, File: d.effects(), Concurrency: pausedSlots})
	}
	first := another("w1")
	d.launch(t, part{
		Role: producer, Name: "p1", Addr: server.Addr, File: d.acceptedBy("p1"), Count: pausedSlots, Batch: pausedSlots,
		Least: p.lasts, Again: 5 * time.Millisecond,
	}).wait()
	await(t, "all jobs to begin", patience, func() bool { return len(d.of(t, began)) == pausedSlots })

	b := blow{Kind: pausedWorker, PID: first.pid(), From: instant()}
	first.signal(syscall.SIGSTOP)
	workers := []*process{first}
	if p.alone {
		await(t, "the leases to run out", patience, func() bool {
			locks, err := client.Keys(t.Context(), queueBase+"*:lock").Result()
			return err == nil && len(locks) == 0
		})
	} else {
		workers = append(workers, another("w2"))
		awaitEnd(t, server)
	}
	if p.lasts == endsLate {
		await(t, "the handlers' time to be over", patience, func() bool { return instant()-b.From > p.lasts.Nanoseconds() })
	}
	first.signal(syscall.SIGCONT)
	b.Until = instant()
	d.note(t, b)

	await(t, "the paused handlers to end", leaseTime/3+time.Second, func() bool { return len(d.endsOf(t, first.pid(), 1)) == pausedSlots })
	if p.alone {
		await(t, "the jobs to be done again", patience, func() bool { return len(d.of(t, ended)) >= pausedSlots })
		awaitEnd(t, server)
	}
	for _, w := range workers {
		w.stop()
	}
	e, _ := judged(t, d, server, rules{concurrency: pausedSlots, workers: len(workers), batch: pausedSlots, crashes: 2})
	p.judge(t, e, workers)
}

// of returns the effects of the kind so far.
func (d desk) of(t *testing.T, kind mark) []effect {
	t.Helper()
	var found []effect
	for _, e := range d.gather(t, contents{}).effects {
		if e.Mark == kind {
			found = append(found, e)
		}
	}
	return found
}

// endsOf returns how the process ended the n-th starts of jobs.
func (d desk) endsOf(t *testing.T, pid, n int) []effect {
	t.Helper()
	var found []effect
	for _, e := range append(d.of(t, ended), d.of(t, cancelled)...) {
		if e.PID == pid && e.Started == n {
			found = append(found, e)
		}
	}
	return found
}

// judge checks that each job is as its second start left it.
func (p paused) judge(t *testing.T, e evidence, workers []*process) {
	t.Helper()
	last := workers[len(workers)-1].pid()
	want, err := json.Marshal(map[string]int{"pid": last, "started": 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range e.accepted {
		if got := e.contents.results[a.ID]; got != string(want) {
			t.Errorf("job %s returned %s, want %s", a.ID, got, want)
		}
		if got := e.contents.crashes[a.ID]; got != "1" {
			t.Errorf("job %s crashed %s times, want once", a.ID, got)
		}
	}
	for _, seen := range e.effects {
		if seen.Mark == ended && seen.Started == 1 && p.lasts == time.Minute {
			t.Errorf("job %s: its first handler ended after the pause, want it cancelled", seen.ID)
		}
	}
	for _, a := range e.accepted {
		if line := fmt.Sprintf(`"msg":"lease lost","part":"w1","queue":"mail","job_id":"%s"`, a.ID); !strings.Contains(workers[0].text(), line) {
			t.Errorf("the log of the paused worker does not say that job %s was lost", a.ID)
		}
	}
}
