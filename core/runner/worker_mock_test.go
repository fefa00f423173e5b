package runner_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/portmock"
	"github.com/taktwork/takt/core/runner"
)

const leaseTime = 30 * time.Second

func leaseOf(options domain.JobOptions) domain.Lease {
	return domain.Lease{
		Job:   domain.Job{ID: "1", Queue: mail, Name: "send", Data: []byte(`{}`), Options: options},
		Token: "token", For: leaseTime,
	}
}

// mocked opens a runner on a consumer that hands out the lease once, and
// then no job.
func mocked(t *testing.T, lease domain.Lease, handler runner.Route, changes ...func(*desk)) (*portmock.MockConsumer, *desk) {
	t.Helper()
	consumer := portmock.NewMockConsumer(gomock.NewController(t))
	first := consumer.EXPECT().Reserve(gomock.Any(), 4).Return([]domain.Lease{lease}, nil)
	consumer.EXPECT().Reserve(gomock.Any(), gomock.Any()).After(first.Call).AnyTimes().DoAndReturn(
		func(ctx context.Context, _ int) ([]domain.Lease, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
	consumer.EXPECT().Recover(gomock.Any()).Return(nil, nil).AnyTimes()
	d := prepare(t, handlers{"send": handler}, func(d *desk) {
		d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return consumer, nil }
		for _, change := range changes {
			change(d)
		}
	})
	return consumer, d
}

func (d *desk) start() {
	d.t.Helper()
	if err := d.runner.Start(d.t.Context()); err != nil {
		d.t.Fatalf("Start() = %v, want none", err)
	}
	d.t.Cleanup(func() { d.stop(runner.StopBudget{Release: time.Second}) })
}

func settlement(outcome domain.Outcome) []domain.Settlement {
	return []domain.Settlement{{Lease: domain.LeaseRef{ID: "1", Token: "token"}, Outcome: outcome}}
}

var settled = domain.SettleReply{Statuses: []domain.SettleStatus{domain.Settled}}

func TestRetryIsSettledWithItsDelayAndCharged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backoff := domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second}
		lease := leaseOf(domain.JobOptions{Attempts: 3, Backoff: backoff})
		lease.Job.AttemptsMade = 1
		consumer, d := mocked(t, lease, returns(errBoom))
		consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Retry, After: 2 * time.Second, Reason: "boom"}), 1).Return(settled, nil)
		d.start()
		synctest.Wait()
		d.wantCounts(map[domain.Event]int{domain.EventRetrying: 1})
	})
}

func TestRetryEndsWithTheLastAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := leaseOf(domain.JobOptions{Attempts: 3})
		lease.Job.AttemptsMade = 2
		consumer, d := mocked(t, lease, returns(errBoom))
		consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Failed, Reason: "boom"}), 1).Return(settled, nil)
		d.start()
		synctest.Wait()
		d.wantCounts(map[domain.Event]int{domain.EventFailed: 1})
	})
}

func TestTimeoutEndsTheContextWithItsCauseAndIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		handler := until(causes)
		handler.Timeout = 5 * time.Second
		consumer, d := mocked(t, leaseOf(domain.JobOptions{Attempts: 2}), handler)
		consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Retry, Reason: "attempt timed out"}), 1).Return(settled, nil)
		d.start()
		pass(5 * time.Second)
		if err := <-causes; !errors.Is(err, domain.ErrTimeout) {
			t.Errorf("cause = %v, want ErrTimeout", err)
		}
		synctest.Wait()
		d.wantCounts(map[domain.Event]int{domain.EventTimedOut: 1})
	})
}

func TestTimeoutDiscardsTheLateResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handler := route(func(context.Context, *domain.Job) ([]byte, error) {
			time.Sleep(6 * time.Second)
			return []byte(`"late"`), nil
		})
		handler.Timeout = 5 * time.Second
		consumer, d := mocked(t, leaseOf(domain.JobOptions{}), handler)
		consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Failed, Reason: "attempt timed out"}), 1).Return(settled, nil)
		d.start()
		pass(7 * time.Second)
		d.wantCounts(map[domain.Event]int{domain.EventFailed: 1, domain.EventLate: 1})
	})
}

// A lost lease is never settled, and the handler's context ends with ErrLeaseLost.
func TestLostLeaseIsNeverSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		lease := leaseOf(domain.JobOptions{})
		consumer, d := mocked(t, lease, until(causes))
		consumer.EXPECT().Extend(gomock.Any(), []domain.LeaseRef{lease.Ref()}).Return([]domain.LeaseRef{lease.Ref()}, nil)
		consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Times(0)
		d.start()
		pass(leaseTime / 3)
		if err := <-causes; !errors.Is(err, domain.ErrLeaseLost) {
			t.Errorf("cause = %v, want ErrLeaseLost", err)
		}
		pass(time.Minute)
		d.wantCounts(map[domain.Event]int{domain.EventLost: 1})
	})
}

func TestLostLeaseIsNeverSettledByAHandlerThatWasTimedOutBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handler := route(func(context.Context, *domain.Job) ([]byte, error) {
			time.Sleep(20 * time.Second)
			return nil, nil
		})
		handler.Timeout = time.Second
		lease := leaseOf(domain.JobOptions{Attempts: 5})
		consumer, d := mocked(t, lease, handler)
		consumer.EXPECT().Extend(gomock.Any(), gomock.Any()).Return([]domain.LeaseRef{lease.Ref()}, nil).AnyTimes()
		consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Times(0)
		d.start()
		pass(time.Minute)
		d.wantCounts(map[domain.Event]int{domain.EventLost: 1, domain.EventLate: 1, domain.EventStuck: 1})
	})
}

// While an outcome is on its way its lease may be gone: it was settled.
func TestLeaseThatEndsWithItsSettlementIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := leaseOf(domain.JobOptions{})
		consumer, d := mocked(t, lease, returns(nil))
		consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Times(1).DoAndReturn(
			func(context.Context, []domain.Settlement, int) (domain.SettleReply, error) {
				time.Sleep(15 * time.Second)
				return settled, nil
			})
		consumer.EXPECT().Extend(gomock.Any(), []domain.LeaseRef{lease.Ref()}).Return([]domain.LeaseRef{lease.Ref()}, nil)
		d.start()
		pass(time.Minute)
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 1})
	})
}

func TestLostLeaseOfAJobThatWaitsToBeSettledIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease, second := leaseOf(domain.JobOptions{}), leaseOf(domain.JobOptions{})
		second.Job.ID = "2"
		handler := route(func(_ context.Context, job *domain.Job) ([]byte, error) {
			if job.ID == "2" {
				time.Sleep(time.Second)
			}
			return nil, nil
		})
		consumer, d := mocked(t, lease, handler)
		first := consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), 1).Return(
			domain.SettleReply{Statuses: settled.Statuses, Leases: []domain.Lease{second, leaseOf(domain.JobOptions{})}}, nil)
		// The outcome of the third job, which has the first one's lease again,
		// is on its way for long; that of the second waits behind it.
		consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Completed}), gomock.Any()).After(first.Call).DoAndReturn(
			func(context.Context, []domain.Settlement, int) (domain.SettleReply, error) {
				time.Sleep(15 * time.Second)
				return settled, nil
			})
		consumer.EXPECT().Extend(gomock.Any(), gomock.Len(2)).Return([]domain.LeaseRef{second.Ref()}, nil)
		d.start()
		pass(time.Minute)
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 2, domain.EventLost: 1})
	})
}

func TestLeaseThatCannotBeRenewedInTimeIsNotTrusted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		causes := make(chan error, 1)
		consumer, d := mocked(t, leaseOf(domain.JobOptions{}), until(causes))
		consumer.EXPECT().Extend(gomock.Any(), gomock.Any()).Return(nil, errDown).AnyTimes()
		consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Times(0)
		d.start()
		select {
		case err := <-causes:
			if !errors.Is(err, domain.ErrLeaseLost) {
				t.Errorf("cause = %v, want ErrLeaseLost", err)
			}
		case <-time.After(2 * leaseTime):
			t.Error("the context did not end")
		}
		if after := time.Since(began); after > leaseTime || after < leaseTime*2/3 {
			t.Errorf("the context ended after %s, want it shortly before %s", after, leaseTime)
		}
		pass(time.Minute)
		d.wantCounts(map[domain.Event]int{domain.EventLost: 1})
	})
}

// seldom lets the keeper look at the leases only when they are to be renewed.
func seldom(d *desk) { d.config.Timing.Stuck = time.Hour }

// awayUntil returns a renewal that the store answers from a moment on.
func awayUntil(back time.Time) func(context.Context, []domain.LeaseRef) ([]domain.LeaseRef, error) {
	return func(ctx context.Context, _ []domain.LeaseRef) ([]domain.LeaseRef, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Until(back)):
			return nil, nil
		}
	}
}

func TestLeasesOutliveAStoreThatIsAwayForMostOfThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		consumer, d := mocked(t, leaseOf(domain.JobOptions{}), until(causes), seldom)
		consumer.EXPECT().Extend(gomock.Any(), gomock.Any()).MinTimes(2).DoAndReturn(awayUntil(time.Now().Add(leaseTime * 8 / 10)))
		consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Return(settled, nil).AnyTimes()
		d.start()
		pass(3 * leaseTime)
		if len(causes) > 0 {
			t.Errorf("the handler was ended by %v, want its lease renewed", <-causes)
		}
	})
}

func TestAStoreThatStaysAwayEndsHandlersBeforeTheirLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		causes := make(chan error, 1)
		consumer, d := mocked(t, leaseOf(domain.JobOptions{}), until(causes), seldom)
		consumer.EXPECT().Extend(gomock.Any(), gomock.Any()).DoAndReturn(awayUntil(began.Add(time.Hour))).AnyTimes()
		d.start()
		if err := <-causes; !errors.Is(err, domain.ErrLeaseLost) {
			t.Errorf("cause = %v, want ErrLeaseLost", err)
		}
		if after := time.Since(began); after >= leaseTime || after < leaseTime*2/3 {
			t.Errorf("the context ended after %s, want it shortly before %s", after, leaseTime)
		}
		pass(time.Minute)
	})
}

func TestRecoverThatHangsDoesNotHoldUpRenewals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		lease := leaseOf(domain.JobOptions{})
		consumer := portmock.NewMockConsumer(gomock.NewController(t))
		first := consumer.EXPECT().Reserve(gomock.Any(), 4).Return([]domain.Lease{lease}, nil)
		untilEnd := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		consumer.EXPECT().Reserve(gomock.Any(), gomock.Any()).After(first.Call).AnyTimes().DoAndReturn(
			func(ctx context.Context, _ int) ([]domain.Lease, error) { return nil, untilEnd(ctx) })
		consumer.EXPECT().Recover(gomock.Any()).AnyTimes().DoAndReturn(
			func(ctx context.Context) ([]domain.Recovered, error) { return nil, untilEnd(ctx) })
		consumer.EXPECT().Extend(gomock.Any(), gomock.Any()).Return(nil, nil).MinTimes(3)
		consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), gomock.Any()).Return(settled, nil).AnyTimes()
		d := prepare(t, handlers{"send": until(causes)}, func(d *desk) {
			d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return consumer, nil }
		})
		d.start()
		pass(2 * time.Minute)
		if len(causes) > 0 {
			t.Errorf("the handler was ended by %v, want its lease renewed", <-causes)
		}
		d.stop(runner.StopBudget{Cancel: time.Second})
		if err := <-causes; !errors.Is(err, domain.ErrShutdown) {
			t.Errorf("cause = %v, want ErrShutdown", err)
		}
	})
}

func TestSettlementThatIsRefusedIsRecordedAsLost(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.SettleStatus{domain.LeaseLost, domain.Unsupported} {
		synctest.Test(t, func(t *testing.T) {
			consumer, d := mocked(t, leaseOf(domain.JobOptions{}), returns(nil))
			consumer.EXPECT().Settle(gomock.Any(), gomock.Any(), 1).Return(domain.SettleReply{Statuses: []domain.SettleStatus{status}}, nil)
			d.start()
			pass(time.Second)
			d.wantCounts(map[domain.Event]int{domain.EventLost: 1})
		})
	}
}

// The history tells what the queue wrote, not what the worker wanted.
func TestOutcomeThatTheQueueWroteInsteadIsRecorded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		instead domain.Outcome
		event   domain.Event
	}{
		{domain.Outcome{Kind: domain.Failed, Reason: "children"}, domain.EventFailed},
		{domain.Outcome{Kind: domain.Retry, Reason: "children", After: time.Hour}, domain.EventRetrying},
	} {
		synctest.Test(t, func(t *testing.T) {
			consumer, d := mocked(t, leaseOf(domain.JobOptions{}), returns(nil))
			reply := domain.SettleReply{Statuses: settled.Statuses, Instead: map[int]domain.Outcome{0: c.instead}}
			consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Completed}), 1).Return(reply, nil)
			d.start()
			pass(time.Second)
			d.wantCounts(map[domain.Event]int{c.event: 1})
			if records := d.records(c.event); len(records) != 1 || records[0].Reason != "children" || records[0].Wait != c.instead.After {
				t.Errorf("records = %v, want one of what was written", records)
			}
		})
	}
}
