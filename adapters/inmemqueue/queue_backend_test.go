package inmemqueue_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

func enqueue(t testing.TB, backend *inmemqueue.Backend, jobs ...domain.NewJob) []domain.EnqueueResult {
	t.Helper()
	results, err := backend.Enqueue(t.Context(), jobs...)
	if err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	return results
}

func workJob(options domain.JobOptions) domain.NewJob {
	return domain.NewJob{Queue: "work", Name: "job", Data: []byte(`1`), Options: options}
}

func leaseOne(t testing.TB, c ports.Consumer) domain.Lease {
	t.Helper()
	leases, err := c.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatalf("Reserve = %v, want a job", err)
	}
	return leases[0]
}

func settle(t testing.TB, c ports.Consumer, lease domain.Lease, outcome domain.Outcome) domain.SettleStatus {
	t.Helper()
	reply, err := c.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: outcome}}, 0)
	if err != nil {
		t.Fatalf("Settle = %v, want no error", err)
	}
	return reply.Statuses[0]
}

func TestCloseEndsBlockedReserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		enqueue(t, backend, workJob(domain.JobOptions{Delay: time.Hour}))
		c := openConsumer(t, backend, time.Minute)
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() {
				_, err := c.Reserve(t.Context(), 1)
				errs <- err
			}()
		}
		synctest.Wait()
		if err := errors.Join(backend.Close(), backend.Close()); err != nil {
			t.Errorf("Close() twice = %v, want no error", err)
		}
		for range cap(errs) {
			if err := <-errs; !errors.Is(err, ports.ErrClosed) {
				t.Errorf("blocked Reserve = %v, want %v", err, ports.ErrClosed)
			}
		}
	})
}

func TestAClosedBackendRefusesEveryCall(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{})
	c := openConsumer(t, backend, time.Minute)
	if err := backend.Close(); err != nil {
		t.Fatalf("Close() = %v, want no error", err)
	}
	ctx := t.Context()
	calls := map[string]func() error{
		"Enqueue": func() error { _, err := backend.Enqueue(ctx, workJob(domain.JobOptions{})); return err },
		"Counts":  func() error { _, err := backend.Counts(ctx, "work"); return err },
		"Jobs":    func() error { _, err := backend.Jobs(ctx, "work", domain.JobFilter{ID: "1"}); return err },
		"Apply":   func() error { _, err := backend.Apply(ctx, "work", domain.Operation{Kind: domain.OpPause}); return err },
		"OpenConsumer": func() error {
			_, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "new", Lease: 1})
			return err
		},
		"Reserve":  func() error { _, err := c.Reserve(ctx, 1); return err },
		"Settle":   func() error { _, err := c.Settle(ctx, nil, 1); return err },
		"Extend":   func() error { _, err := c.Extend(ctx, nil); return err },
		"Recover":  func() error { _, err := c.Recover(ctx); return err },
		"Annotate": func() error { _, err := c.Annotate(ctx, nil); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ports.ErrClosed) {
			t.Errorf("%s after Close = %v, want %v", name, err, ports.ErrClosed)
		}
	}
}

func TestRemainingCountsUnfinishedJobsAfterClose(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{})
	enqueue(t, backend, workJob(domain.JobOptions{}), workJob(domain.JobOptions{}), workJob(domain.JobOptions{Delay: time.Hour}))
	c := openConsumer(t, backend, time.Minute)
	settle(t, c, leaseOne(t, c), domain.Outcome{Kind: domain.Completed})
	leaseOne(t, c)
	if _, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "empty", Lease: time.Minute}); err != nil {
		t.Fatalf("OpenConsumer(empty) = %v, want a consumer", err)
	}
	if err := backend.Close(); err != nil {
		t.Fatalf("Close() = %v, want no error", err)
	}
	want := map[domain.QueueName]int{"work": 2}
	if diff := cmp.Diff(want, backend.Remaining()); diff != "" {
		t.Errorf("Remaining() (-want +got):\n%s", diff)
	}
}

func TestReceiptsEndAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		job := workJob(domain.JobOptions{})
		job.Receipt = "tick"
		elsewhere := job
		elsewhere.Queue = "another"
		enqueue(t, backend, job)
		time.Sleep(24*time.Hour - 1)
		for _, again := range []domain.NewJob{job, elsewhere} {
			if got := enqueue(t, backend, again)[0].Status; got != domain.ReceiptKnown {
				t.Errorf("Enqueue on %s within a day = %v, want receipt known", again.Queue, got)
			}
		}
		time.Sleep(time.Nanosecond)
		if got := enqueue(t, backend, job)[0].Status; got != domain.Accepted {
			t.Errorf("Enqueue after a day = %v, want accepted", got)
		}
	})
}

func TestFlowsAreUnsupported(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{})
	enqueue(t, backend, workJob(domain.JobOptions{}))
	c := openConsumer(t, backend, time.Minute)
	lease := leaseOne(t, c)
	if got := settle(t, c, lease, domain.Outcome{Kind: domain.WaitingForChildren}); got != domain.Unsupported {
		t.Errorf("Settle(waiting for children) = %d, want unsupported", got)
	}
	if got := settle(t, c, lease, domain.Outcome{Kind: domain.Completed}); got != domain.Settled {
		t.Errorf("Settle afterwards = %d, want settled", got)
	}
}

// stepped returns t with its wall clock moved by d and its monotonic reading
// left alone, as after a step of the host's clock.
func stepped(t time.Time, d time.Duration) time.Time {
	const secondShift = 30
	later := t
	wall := (*uint64)(unsafe.Pointer(&later))
	*wall += uint64(int64(d/time.Second) << secondShift)
	return later
}

// The clock of a synctest bubble has no monotonic reading, so this test waits.
func TestDelaysSurviveStepsOfTheWallClock(t *testing.T) {
	const delay = 30 * time.Millisecond
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		var off atomic.Int64
		now := func() time.Time { return stepped(time.Now(), time.Duration(off.Load())) }
		backend := inmemqueue.New(inmemqueue.Config{Now: now})
		started, before := time.Now(), now()
		enqueue(t, backend, workJob(domain.JobOptions{Delay: delay}))
		off.Store(int64(step))
		if got := now().Round(0).Sub(before.Round(0)); (got - step).Abs() > time.Minute {
			t.Fatalf("the wall clock moved by %s, want %s", got, step)
		}
		leaseOne(t, openConsumer(t, backend, time.Minute))
		if took := time.Since(started); took < delay || took > time.Minute {
			t.Errorf("a delay of %s took %s with the wall clock stepped by %s", delay, took, step)
		}
	}
}

func TestBadCallsAreInvalid(t *testing.T) {
	backend := inmemqueue.New(inmemqueue.Config{})
	c := openConsumer(t, backend, time.Minute)
	ctx := t.Context()
	calls := map[string]func() error{
		"Reserve(0)":          func() error { _, err := c.Reserve(ctx, 0); return err },
		"OpenConsumer(lease)": func() error { _, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "work"}); return err },
		"Counts(queue)":       func() error { _, err := backend.Counts(ctx, "a:b"); return err },
		"Jobs(queue)":         func() error { _, err := backend.Jobs(ctx, "a:b", domain.JobFilter{ID: "1"}); return err },
		"Jobs(offset)":        func() error { _, err := backend.Jobs(ctx, "work", domain.JobFilter{ID: "1", Offset: -1}); return err },
		"Apply(queue)":        func() error { _, err := backend.Apply(ctx, "a:b", domain.Operation{Kind: domain.OpPause}); return err },
		"Apply(limit)": func() error {
			_, err := backend.Apply(ctx, "work", domain.Operation{Kind: domain.OpPause, Limit: -1})
			return err
		},
		"Apply(drain failed)": func() error {
			_, err := backend.Apply(ctx, "work", domain.Operation{Kind: domain.OpDrain, State: domain.StateFailed})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s = %v, want %v", name, err, domain.ErrInvalid)
		}
	}
}

func TestWaitingConsumersShareABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		var group sync.WaitGroup
		got := make([]int, 4)
		for i := range got {
			c := openConsumer(t, backend, time.Minute)
			group.Go(func() {
				leases, err := c.Reserve(t.Context(), 50)
				if err != nil {
					t.Errorf("Reserve = %v, want jobs", err)
				}
				got[i] = len(leases)
			})
		}
		synctest.Wait()
		jobs := make([]domain.NewJob, 40)
		for i := range jobs {
			jobs[i] = workJob(domain.JobOptions{})
		}
		enqueue(t, backend, jobs...)
		group.Wait()
		if diff := cmp.Diff([]int{10, 10, 10, 10}, got); diff != "" {
			t.Errorf("jobs of each consumer (-want +got):\n%s", diff)
		}
	})
}

// TestNothingIsLostOrDoubledUnderLoad lets producers, consumers that give up
// at random and retries race on one queue.
func TestNothingIsLostOrDoubledUnderLoad(t *testing.T) {
	const producers, consumers, each = 4, 6, 1500
	backend := inmemqueue.New(inmemqueue.Config{})
	done, finish := context.WithCancel(t.Context())
	defer finish()
	var (
		seen  [producers * each]atomic.Int32
		count atomic.Int32
		group sync.WaitGroup
	)
	for p := range producers {
		group.Go(func() {
			for i := range each {
				n := p*each + i
				job := workJob(domain.JobOptions{Priority: i % 3, LIFO: i%5 == 0, KeepCompleted: domain.KeepNone(), Delay: time.Duration(i%2) * time.Microsecond})
				job.Data = []byte{byte(n), byte(n >> 8)}
				enqueue(t, backend, job)
			}
		})
	}
	for i := range consumers {
		c := openConsumer(t, backend, time.Minute)
		group.Go(func() {
			for done.Err() == nil {
				ctx, cancel := context.WithTimeout(done, time.Duration(i*50+10)*time.Microsecond)
				leases, err := c.Reserve(ctx, 1+i*3)
				cancel()
				if err != nil {
					continue
				}
				var settlements []domain.Settlement
				for _, lease := range leases {
					outcome := domain.Outcome{Kind: domain.Retry}
					if lease.Job.AttemptsMade > 0 {
						outcome.Kind = domain.Completed
						seen[int(lease.Job.Data[0])|int(lease.Job.Data[1])<<8].Add(1)
					}
					settlements = append(settlements, domain.Settlement{Lease: lease.Ref(), Outcome: outcome})
				}
				reply, err := c.Settle(t.Context(), settlements, 0)
				if err != nil {
					t.Errorf("Settle = %v, want no error", err)
				}
				for i, status := range reply.Statuses {
					if status != domain.Settled {
						t.Errorf("Settle = %d, want settled", status)
					}
					if settlements[i].Outcome.Kind == domain.Completed && count.Add(1) == producers*each {
						finish()
					}
				}
			}
		})
	}
	group.Wait()
	for n := range seen {
		if times := seen[n].Load(); times != 1 {
			t.Errorf("job %d was completed %d times, want once", n, times)
		}
	}
	if remaining := backend.Remaining(); len(remaining) != 0 {
		t.Errorf("Remaining() = %v, want none", remaining)
	}
}

func TestADelayBeyondTheEndOfTimeNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		enqueue(t, backend, workJob(domain.JobOptions{Delay: 1<<63 - 1}))
		ctx, cancel := context.WithTimeout(t.Context(), 100*365*24*time.Hour)
		defer cancel()
		if leases, err := openConsumer(t, backend, time.Minute).Reserve(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Reserve = %v, %v, want nothing in a hundred years", leases, err)
		}
	})
}

func TestCleanRemovesOldJobsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := inmemqueue.New(inmemqueue.Config{})
		old := enqueue(t, backend, workJob(domain.JobOptions{}))[0].ID
		time.Sleep(time.Hour)
		enqueue(t, backend, workJob(domain.JobOptions{}))
		got, err := backend.Apply(t.Context(), "work", domain.Operation{Kind: domain.OpClean, State: domain.StateWait, OlderThan: time.Hour})
		if err != nil {
			t.Fatalf("Apply(clean) = %v, want no error", err)
		}
		if diff := cmp.Diff([]domain.JobID{old}, got); diff != "" {
			t.Errorf("cleaned jobs (-want +got):\n%s", diff)
		}
	})
}
