package porttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// QueueBackend is one backend under test, empty when opened.
type QueueBackend struct {
	Enqueuer     ports.Enqueuer
	OpenConsumer ports.OpenConsumer
	Inspector    ports.Inspector
	// Limiter is what the suite of that name checks.
	Limiter ports.Limiter
}

// QueueLimits are bounds for a backend to open with. Zero fields leave the
// backend's own.
type QueueLimits struct {
	MaxJobs, MaxBytes, MaxPayload int
}

// QueueFeatures say what a backend can. The suites leave out or relax what it
// does not claim.
type QueueFeatures struct {
	// FIFO means that jobs of equal rank are leased strictly in order, and a
	// job that is handed back before all others.
	FIFO bool
	// Bounded means that the backend honours [QueueLimits].
	Bounded bool
	// CrashOrder means that a recovered job keeps its priority.
	CrashOrder bool
	// Precision is how late a delay or lease may end.
	Precision time.Duration
	// Lease is the lease that the cases use, long against Precision.
	Lease time.Duration
	// Unit is the delay that the cases wait for, long against Precision.
	Unit time.Duration
	// RecoverRounds is how many calls of Recover, a Lease apart, it takes at
	// most until a job whose lease ran out is back; zero means one.
	RecoverRounds int
	// QuarantineOnReserve means that a job that crashed too often is not
	// failed by Recover, but handed out by the next Reserve with
	// [domain.Lease.Refused] set.
	QuarantineOnReserve bool
}

// QueueHarness opens backends for the suites.
type QueueHarness struct {
	Features QueueFeatures
	// Open returns an empty backend that is closed by t.Cleanup.
	Open func(t testing.TB, limits QueueLimits) QueueBackend
	// Advance lets at least d pass for the backend: inside a synctest bubble
	// it sleeps, for a real store it waits.
	Advance func(d time.Duration)
	// Run, if set, runs each case, for instance [testing/synctest.Test].
	Run func(t *testing.T, test func(t *testing.T))
}

// Queue checks an Enqueuer together with the Consumers of its queues.
func Queue(t *testing.T, harness QueueHarness) {
	for _, cases := range [][]queueCase{queueEnqueueCases(), queueDedupCases(), queueOrderCases(), queueConsumeCases(), queueSettleCases(), queueLeaseCases(), queueNoteCases()} {
		harness.run(t, cases)
	}
}

// Inspector checks an Inspector on the queues of its backend.
func Inspector(t *testing.T, harness QueueHarness) {
	harness.run(t, queueInspectCases())
	harness.run(t, queueOperateCases())
}

type queueCase struct {
	name   string
	test   func(q *queueFixture)
	limits QueueLimits
	// needs says what the backend must claim; nil means nothing.
	needs func(QueueFeatures) bool
}

func fifo(f QueueFeatures) bool    { return f.FIFO }
func bounded(f QueueFeatures) bool { return f.Bounded }

func (h QueueHarness) run(t *testing.T, cases []queueCase) {
	t.Helper()
	run := h.Run
	if run == nil {
		run = func(t *testing.T, test func(t *testing.T)) { test(t) }
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != nil && !c.needs(h.Features) {
				t.Skip("the backend does not claim this")
			}
			run(t, func(t *testing.T) {
				c.test(&queueFixture{T: t, harness: h, features: h.Features, backend: h.Open(t, c.limits)})
			})
		})
	}
}

const (
	testQueue  = domain.QueueName("work")
	otherQueue = domain.QueueName("other-work")
	jobName    = "porttest.job"
	// patience bounds every wait for something that must happen.
	patience = 30 * time.Second
)

// queueFixture is one backend with the words that the cases are written in.
type queueFixture struct {
	*testing.T
	harness  QueueHarness
	features QueueFeatures
	backend  QueueBackend
}

func (q *queueFixture) unit() time.Duration { return q.features.Unit }

// pass lets d pass, and as much more as the backend may be late.
func (q *queueFixture) pass(d time.Duration) {
	q.harness.Advance(d + q.features.Precision)
}

func (q *queueFixture) consumer(handles ...string) ports.Consumer {
	q.Helper()
	return q.consumerOf(testQueue, handles...)
}

func (q *queueFixture) consumerOf(queue domain.QueueName, handles ...string) ports.Consumer {
	q.Helper()
	c, err := q.backend.OpenConsumer(ports.ConsumerOptions{Queue: queue, Worker: "porttest", Lease: q.features.Lease, Handles: handles})
	if err != nil {
		q.Fatalf("OpenConsumer(%s) = %v, want a consumer", queue, err)
	}
	return c
}

// enqueue adds jobs and returns what the backend answers.
func (q *queueFixture) enqueue(jobs ...domain.NewJob) []domain.EnqueueResult {
	q.Helper()
	results, err := q.backend.Enqueuer.Enqueue(q.Context(), jobs...)
	if err != nil {
		q.Fatalf("Enqueue(%d jobs) = %v, want no error", len(jobs), err)
	}
	if len(results) != len(jobs) {
		q.Fatalf("Enqueue(%d jobs) gave %d results, want one each", len(jobs), len(results))
	}
	return results
}

// accept adds jobs that must be accepted and returns their ids.
func (q *queueFixture) accept(jobs ...domain.NewJob) []domain.JobID {
	q.Helper()
	ids := make([]domain.JobID, 0, len(jobs))
	for i, result := range q.enqueue(jobs...) {
		if result.Status != domain.Accepted || result.ID == "" {
			q.Fatalf("Enqueue(job %d) = %v %q, want accepted with an id", i, result.Status, result.ID)
		}
		ids = append(ids, result.ID)
	}
	return ids
}

// lease leases exactly n jobs.
func (q *queueFixture) lease(c ports.Consumer, n int) []domain.Lease {
	q.Helper()
	ctx, cancel := context.WithTimeout(q.Context(), patience)
	defer cancel()
	var leases []domain.Lease
	for len(leases) < n {
		more, err := c.Reserve(ctx, n-len(leases))
		if err != nil {
			q.Fatalf("Reserve(%d) after %d jobs = %v, want jobs", n-len(leases), len(leases), err)
		}
		if len(more) == 0 || len(more) > n-len(leases) {
			q.Fatalf("Reserve(%d) gave %d leases, want between one and the limit", n-len(leases), len(more))
		}
		leases = append(leases, more...)
	}
	return leases
}

func (q *queueFixture) leaseOne(c ports.Consumer) domain.Lease {
	q.Helper()
	return q.lease(c, 1)[0]
}

// idle checks that no job can be leased now.
func (q *queueFixture) idle(c ports.Consumer) {
	q.Helper()
	ctx, cancel := context.WithTimeout(q.Context(), q.unit()/4)
	defer cancel()
	leases, err := c.Reserve(ctx, 1)
	if !errors.Is(err, context.DeadlineExceeded) || len(leases) != 0 {
		q.Fatalf("Reserve(1) on an idle queue = %v, %v, want none and the end of ctx", leaseIDs(leases), err)
	}
}

// settle writes an outcome that must be taken.
func (q *queueFixture) settle(c ports.Consumer, lease domain.Lease, outcome domain.Outcome) {
	q.Helper()
	if status := q.trySettle(c, lease, outcome); status != domain.Settled {
		q.Fatalf("Settle(%s, %v) = status %d, want settled", lease.Job.ID, outcome.Kind, status)
	}
}

func (q *queueFixture) trySettle(c ports.Consumer, lease domain.Lease, outcome domain.Outcome) domain.SettleStatus {
	q.Helper()
	reply := q.settleAll(c, 0, domain.Settlement{Lease: lease.Ref(), Outcome: outcome})
	return reply.Statuses[0]
}

func (q *queueFixture) settleAll(c ports.Consumer, limit int, settlements ...domain.Settlement) domain.SettleReply {
	q.Helper()
	reply, err := c.Settle(q.Context(), settlements, limit)
	if err != nil {
		q.Fatalf("Settle = %v, want no error", err)
	}
	if len(reply.Statuses) != len(settlements) || len(reply.Leases) > limit {
		q.Fatalf("Settle(%d settlements, limit %d) = %d statuses, %d leases", len(settlements), limit, len(reply.Statuses), len(reply.Leases))
	}
	return reply
}

// finish leases the next job and completes it.
func (q *queueFixture) finish(c ports.Consumer) domain.JobID {
	q.Helper()
	lease := q.leaseOne(c)
	q.settle(c, lease, completed())
	return lease.Job.ID
}

// job returns the one job with the id, and whether it is there.
func (q *queueFixture) job(id domain.JobID) (domain.JobView, bool) {
	q.Helper()
	views, err := q.backend.Inspector.Jobs(q.Context(), testQueue, domain.JobFilter{ID: id})
	if err != nil || len(views) > 1 {
		q.Fatalf("Jobs(id %s) = %d jobs, %v, want at most one", id, len(views), err)
	}
	if len(views) == 0 {
		return domain.JobView{}, false
	}
	return views[0], true
}

// inState checks that the job is there in the state.
func (q *queueFixture) inState(id domain.JobID, want domain.State) domain.JobView {
	q.Helper()
	view, found := q.job(id)
	if !found || view.State != want {
		q.Fatalf("job %s is %q (found: %v), want %q", id, view.State, found, want)
	}
	return view
}

func (q *queueFixture) gone(id domain.JobID) {
	q.Helper()
	if view, found := q.job(id); found {
		q.Fatalf("job %s is %q, want it gone", id, view.State)
	}
}

// newJob returns a job of the test queue with the options.
func newJob(options domain.JobOptions) domain.NewJob {
	return domain.NewJob{Queue: testQueue, Name: jobName, Data: []byte(`{"n":1}`), Options: options}
}

// newJobs returns n jobs without options that carry their number.
func newJobs(n int) []domain.NewJob {
	jobs := make([]domain.NewJob, n)
	for i := range jobs {
		jobs[i] = newJob(domain.JobOptions{})
		jobs[i].Data = fmt.Appendf(nil, `{"n":%d}`, i)
	}
	return jobs
}

func completed() domain.Outcome {
	return domain.Outcome{Kind: domain.Completed, Result: []byte(`"done"`)}
}

func failed() domain.Outcome {
	return domain.Outcome{Kind: domain.Failed, Reason: "no luck", Stack: "at the test"}
}

func leaseIDs(leases []domain.Lease) []domain.JobID {
	ids := make([]domain.JobID, 0, len(leases))
	for i := range leases {
		ids = append(ids, leases[i].Job.ID)
	}
	return ids
}
