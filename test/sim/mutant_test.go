package sim_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// mutantDays is how long mutants live.
const mutantDays = 30 * time.Hour

func lives(t *testing.T, replicas int, m mutant) *world {
	t.Helper()
	w := build(t, plan{seed: 3, start: spring, lasts: mutantDays, jobs: 40, replicas: replicas, timing: calm, mutant: m})
	w.run(t, nil)
	return w
}

func TestModel_findsNoFaultWithoutMutant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := lives(t, 1, mutant{})
		report(t, 3, w.check())
		report(t, 3, w.checkOnce())
	})
}

// breed is a mutant and how the fault that betrays it reads.
type breed struct {
	mutant

	fault string
}

func configured(change func(*runner.ScheduledJob), fault string) breed {
	return breed{mutant{job: change}, fault}
}

func breeds() map[string]breed {
	forgetful := func(l ports.Ledger) ports.Ledger { return &forgetfulLedger{Ledger: l} }
	generous := func(d ports.Dispatcher, q ports.Enqueuer) ports.Dispatcher {
		return &generousDispatcher{Dispatcher: d, queue: q}
	}
	idle := func(d ports.Dispatcher, _ ports.Enqueuer) ports.Dispatcher { return &idleDispatcher{d} }
	lossy := func(r ports.RunStore) ports.RunStore { return &lossyRuns{RunStore: r} }
	return map[string]breed{
		"retries one too many": configured(func(j *runner.ScheduledJob) {
			if j.Policy.Retries.Count > 0 {
				j.Policy.Retries.Count++
			}
		}, "handler called"),
		"retries one too few": configured(func(j *runner.ScheduledJob) { j.Policy.Retries.Count = max(j.Policy.Retries.Count-1, 0) }, "handler called"),
		"back-off too long": configured(func(j *runner.ScheduledJob) {
			if j.Policy.Retries.Count > 0 {
				j.Policy.Retries.Backoff.Delay += time.Millisecond
			}
		}, "handler called"),
		"back-off not doubled": configured(func(j *runner.ScheduledJob) { j.Policy.Retries.Backoff.Kind = domain.BackoffFixed }, "handler called"),
		"timeout too long": configured(func(j *runner.ScheduledJob) {
			if j.Policy.Timeout > 0 {
				j.Policy.Timeout += time.Millisecond
			}
		}, "handler called"),
		"no timeout":               configured(func(j *runner.ScheduledJob) { j.Policy.Timeout = 0 }, "handler called"),
		"jitter too wide":          configured(func(j *runner.ScheduledJob) { j.Policy.MaxJitter *= 2 }, "jittered"),
		"no jitter":                configured(func(j *runner.ScheduledJob) { j.Policy.MaxJitter = 0 }, "jittered"),
		"overlap allowed":          configured(func(j *runner.ScheduledJob) { j.Policy.Overlap = domain.OverlapAllow }, "overlaps with another run"),
		"overlap skipped":          configured(func(j *runner.ScheduledJob) { j.Policy.Overlap = domain.OverlapSkip }, "skipped (overlap)"),
		"a tick a millisecond off": configured(func(j *runner.ScheduledJob) { j.Schedule = shifted(j.Schedule) }, "is no tick of its job"),
		"a tick forgotten":         {mutant{ledger: forgetful}, "recorded []"},
		"a job enqueued twice":     {mutant{dispatcher: generous}, "was worked 2 times"},
		"a job not enqueued":       {mutant{dispatcher: idle}, "was worked 0 times"},
		"a record lost":            {mutant{runs: lossy}, "recorded"},
	}
}

// needsNoDetector skips what the race detector can tell nothing new about; "make test"
// runs it without one as well.
func needsNoDetector(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("runs without the race detector")
	}
}

func TestModel_catchesMutants(t *testing.T) {
	needsNoDetector(t)
	for name, b := range breeds() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wantFault(t, lives(t, 1, b.mutant).check(), b.fault)
			})
		})
	}
}

func wantFault(t *testing.T, faults []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, want) }) {
		t.Errorf("%d faults are found, none with %q: the mutant lives", len(faults), want)
	}
}

func TestInvariants_catchMutants(t *testing.T) {
	needsNoDetector(t)
	lavish := func(l ports.Ledger) ports.Ledger { return &lavishLedger{Ledger: l} }
	all := breeds()
	for name, b := range map[string]breed{
		"a ledger without compare-and-set": {mutant{ledger: lavish}, "was decided 2 times"},
		"a tick forgotten":                 {all["a tick forgotten"].mutant, "was decided 0 times"},
		"overlap allowed":                  {all["overlap allowed"].mutant, "overlaps with another run"},
		"a record lost":                    {all["a record lost"].mutant, "came to 0 ends"},
		"a job enqueued twice":             {all["a job enqueued twice"].mutant, "was worked 2 times"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wantFault(t, lives(t, 2, b.mutant).checkOnce(), b.fault)
			})
		})
	}
}

// lavishLedger grants ticks that are taken.
type lavishLedger struct {
	ports.Ledger

	tokens atomic.Uint64
}

// Claim implements [ports.Ledger].
func (l *lavishLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	verdicts, err := l.Ledger.Claim(ctx, intents)
	for i := range verdicts {
		if verdicts[i].Kind == domain.Taken {
			verdicts[i].Kind = domain.Granted
			verdicts[i].Claim = domain.Claim{
				Run: intents[i].Run, Token: domain.ClaimToken(1<<40 + l.tokens.Add(1)), Phase: domain.PhaseStarted, Lease: intents[i].Lease,
			}
		}
	}
	return verdicts, err
}

// forgetfulLedger moves the cursor past every hundredth tick without a claim.
type forgetfulLedger struct {
	ports.Ledger

	calls atomic.Int64
}

// Claim implements [ports.Ledger].
func (l *forgetfulLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	for i := range intents {
		if intents[i].Move != nil && l.calls.Add(1)%100 == 0 {
			intents[i].MoveOnly = true
		}
	}
	return l.Ledger.Claim(ctx, intents)
}

// generousDispatcher puts each job on its queue once more when the next one
// comes: by then the first has been worked and is gone.
type generousDispatcher struct {
	ports.Dispatcher

	queue ports.Enqueuer
	mu    sync.Mutex
	last  []domain.NewJob
}

// Dispatch implements [ports.Dispatcher].
func (d *generousDispatcher) Dispatch(ctx context.Context, dispatches []domain.Dispatch) ([]domain.DispatchResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.last) > 0 {
		if _, err := d.queue.Enqueue(ctx, d.last...); err != nil {
			return nil, err
		}
	}
	d.last = nil
	for _, dispatch := range dispatches {
		job := dispatch.Job
		job.Receipt = ""
		d.last = append(d.last, job)
	}
	return d.Dispatcher.Dispatch(ctx, dispatches)
}

// idleDispatcher says that it has enqueued what it has not.
type idleDispatcher struct{ ports.Dispatcher }

// Dispatch implements [ports.Dispatcher].
func (*idleDispatcher) Dispatch(_ context.Context, dispatches []domain.Dispatch) ([]domain.DispatchResult, error) {
	results := make([]domain.DispatchResult, len(dispatches))
	for i := range results {
		results[i] = domain.DispatchResult{Status: domain.Dispatched, ID: dispatches[i].Job.Options.ID}
	}
	return results, nil
}

// lossyRuns loses the first record of every tenth batch.
type lossyRuns struct {
	ports.RunStore

	calls atomic.Int64
}

// Append implements [ports.RunStore].
func (r *lossyRuns) Append(ctx context.Context, records []domain.Record) error {
	if r.calls.Add(1)%10 == 0 {
		records = records[1:]
	}
	return r.RunStore.Append(ctx, records)
}
