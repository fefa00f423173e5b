package runner_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
)

const stalled = "job stalled more than allowable limit"

func refusedLease(reason string) domain.Lease {
	lease := leaseOf(domain.JobOptions{Attempts: 5})
	lease.Refused = reason
	return lease
}

// unseen is a handler that must not be called.
func unseen(t *testing.T) runner.Route {
	t.Helper()
	return route(func(context.Context, *domain.Job) ([]byte, error) {
		t.Error("the handler was called, want the job kept from it")
		return nil, nil
	})
}

func TestRefusedJobIsFailedWithoutItsHandler(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"send", "a name without handler"} {
		synctest.Test(t, func(t *testing.T) {
			lease := refusedLease(stalled)
			lease.Job.Name = name
			consumer, d := mocked(t, lease, unseen(t))
			consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Failed, Reason: stalled}), 1).Return(settled, nil)
			d.start()
			pass(100 * time.Millisecond)
			d.wantCounts(map[domain.Event]int{domain.EventQuarantined: 1})
			if lines := d.log.with("job quarantined"); len(lines) != 1 || lines[0].attrs["err"] != stalled {
				t.Errorf("log = %v, want one line that the job is quarantined because it %s", lines, stalled)
			}
			if records := d.records(domain.EventQuarantined); len(records) != 1 || records[0].Reason != stalled || records[0].JobID != "1" {
				t.Errorf("records = %v, want one of job 1 with the reason", records)
			}
		})
	}
}

// A parent whose child has failed is not damaged.
func TestInheritedFailureIsNoQuarantine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := refusedLease("child bull:mail:1 failed")
		lease.Inherited = true
		consumer, d := mocked(t, lease, unseen(t))
		want := domain.Outcome{Kind: domain.Failed, Reason: lease.Refused}
		consumer.EXPECT().Settle(gomock.Any(), settlement(want), 1).Return(settled, nil)
		d.start()
		synctest.Wait()
		d.wantCounts(map[domain.Event]int{domain.EventFailed: 1})
	})
}

func TestRefusedJobThatComesWithASettlementIsFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		consumer, d := mocked(t, leaseOf(domain.JobOptions{}), returns(nil))
		first := consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Completed}), 1).Return(
			domain.SettleReply{Statuses: settled.Statuses, Leases: []domain.Lease{refusedLease(stalled)}}, nil)
		consumer.EXPECT().Settle(gomock.Any(), settlement(domain.Outcome{Kind: domain.Failed, Reason: stalled}), 1).
			After(first.Call).Return(settled, nil)
		d.start()
		synctest.Wait()
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 1, domain.EventQuarantined: 1})
	})
}

// The reason may quote a damaged job.
func TestReasonOfARefusedJobIsCleanText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		consumer, d := mocked(t, refusedLease("bad\x00 name \xff"+strings.Repeat("x", domain.MaxReason)), unseen(t))
		want := domain.Outcome{Kind: domain.Failed, Reason: "bad name " + strings.Repeat("x", domain.MaxReason-len("bad\x00 name \xff"))}
		consumer.EXPECT().Settle(gomock.Any(), settlement(want), 1).Return(settled, nil)
		d.start()
		synctest.Wait()
		d.wantCounts(map[domain.Event]int{domain.EventQuarantined: 1})
	})
}
