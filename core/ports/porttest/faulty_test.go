package porttest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
)

// tally counts the calls that reach it.
type tally struct{ calls map[porttest.Call]int }

func (t *tally) Enqueue(context.Context, ...domain.NewJob) ([]domain.EnqueueResult, error) {
	t.calls[porttest.CallEnqueue]++
	return []domain.EnqueueResult{{Status: domain.Accepted}}, nil
}

func (t *tally) Reserve(context.Context, int) ([]domain.Lease, error) {
	t.calls[porttest.CallReserve]++
	return []domain.Lease{{}}, nil
}

func (t *tally) Settle(context.Context, []domain.Settlement, int) (domain.SettleReply, error) {
	t.calls[porttest.CallSettle]++
	return domain.SettleReply{Statuses: []domain.SettleStatus{domain.Settled}}, nil
}

func (t *tally) Extend(context.Context, []domain.LeaseRef) ([]domain.LeaseRef, error) {
	t.calls[porttest.CallExtend]++
	return nil, nil
}

func (t *tally) Recover(context.Context) ([]domain.Recovered, error) {
	t.calls[porttest.CallRecover]++
	return nil, nil
}

func (t *tally) Annotate(context.Context, []domain.Note) ([]domain.LeaseRef, error) {
	t.calls[porttest.CallAnnotate]++
	return nil, nil
}

func TestFaultsBefallTheCallsTheyArePlannedFor(t *testing.T) {
	var faults porttest.Faults
	next := &tally{calls: map[porttest.Call]int{}}
	enqueuer := porttest.FaultyEnqueuer(next, &faults)
	open := porttest.FaultyConsumers(func(ports.ConsumerOptions) (ports.Consumer, error) { return next, nil }, &faults)
	consumer, err := open(ports.ConsumerOptions{})
	if err != nil {
		t.Fatalf("open = %v, want a consumer", err)
	}
	ctx := t.Context()
	for call, do := range map[porttest.Call]func() error{
		porttest.CallEnqueue:  func() error { _, err := enqueuer.Enqueue(ctx); return err },
		porttest.CallReserve:  func() error { _, err := consumer.Reserve(ctx, 1); return err },
		porttest.CallSettle:   func() error { _, err := consumer.Settle(ctx, nil, 1); return err },
		porttest.CallExtend:   func() error { _, err := consumer.Extend(ctx, nil); return err },
		porttest.CallRecover:  func() error { _, err := consumer.Recover(ctx); return err },
		porttest.CallAnnotate: func() error { _, err := consumer.Annotate(ctx, nil); return err },
	} {
		faults.Fail(call, 2, ports.ErrUnavailable)
		faults.Lose(call, 1, context.DeadlineExceeded)
		want := []struct {
			err     error
			reached int
		}{{ports.ErrUnavailable, 0}, {ports.ErrUnavailable, 0}, {context.DeadlineExceeded, 1}, {nil, 2}}
		for i, w := range want {
			if err := do(); !errors.Is(err, w.err) || next.calls[call] != w.reached {
				t.Errorf("%s call %d = %v, %d reached the backend, want %v and %d", call, i+1, err, next.calls[call], w.err, w.reached)
			}
		}
		if calls, pending := faults.Calls(call), faults.Pending(call); calls != 4 || pending != 0 {
			t.Errorf("%s was called %d times with %d faults left, want 4 and 0", call, calls, pending)
		}
	}
}

func TestOpeningAFaultyConsumerPassesErrorsOn(t *testing.T) {
	open := porttest.FaultyConsumers(func(ports.ConsumerOptions) (ports.Consumer, error) { return nil, ports.ErrClosed }, &porttest.Faults{})
	if c, err := open(ports.ConsumerOptions{}); c != nil || !errors.Is(err, ports.ErrClosed) {
		t.Errorf("open = %v, %v, want none and %v", c, err, ports.ErrClosed)
	}
}

func TestAHeldCallWaitsForItsRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults porttest.Faults
		next := &tally{calls: map[porttest.Call]int{}}
		consumer := porttest.FaultyConsumer(next, &faults)
		release := faults.Hold(porttest.CallSettle)
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := consumer.Settle(t.Context(), nil, 0); err != nil {
				t.Errorf("held Settle = %v, want no error", err)
			}
		})
		synctest.Wait()
		if reached := next.calls[porttest.CallSettle]; reached != 0 {
			t.Errorf("%d calls reached the backend while held, want 0", reached)
		}
		release()
		release()
		group.Wait()
		if reached := next.calls[porttest.CallSettle]; reached != 1 {
			t.Errorf("%d calls reached the backend after the release, want 1", reached)
		}
	})
}

func TestAHeldCallEndsWithItsContext(t *testing.T) {
	var faults porttest.Faults
	faults.Hold(porttest.CallReserve)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := porttest.FaultyConsumer(nil, &faults).Reserve(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("held Reserve = %v, want %v", err, context.Canceled)
	}
}
