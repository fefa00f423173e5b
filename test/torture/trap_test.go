package torture_test

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// trap kills its own process at a step, as kill -9 does. Steps are named
// "before CALL" and "after CALL" for the calls of ports, and what handlers
// name. The zero value never does.
type trap struct {
	step string

	mu   sync.Mutex
	left int
}

// at is called wherever the process comes to a step.
func (t *trap) at(step string) {
	if t.step != step {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left--; t.left > 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // it comes at once, or a little later
}

// around makes a call between two steps.
func around[T any](t *trap, call string, do func() (T, error)) (T, error) {
	t.at("before " + call)
	reply, err := do()
	t.at("after " + call)
	return reply, err
}

// trappedLedger has steps around the calls of a ledger.
type trappedLedger struct {
	ports.Ledger

	trap *trap
}

func (l trappedLedger) Claim(ctx context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
	call := "claim"
	for i := range intents {
		if intents[i].Held != 0 {
			call = "start"
		}
	}
	return around(l.trap, call, func() ([]domain.Verdict, error) { return l.Ledger.Claim(ctx, intents) })
}

func (l trappedLedger) Renew(ctx context.Context, claims []domain.ClaimRef, lease time.Duration) ([]domain.Renewal, error) {
	return around(l.trap, "renew", func() ([]domain.Renewal, error) { return l.Ledger.Renew(ctx, claims, lease) })
}

func (l trappedLedger) Finish(ctx context.Context, results []domain.RunResult) ([]bool, error) {
	return around(l.trap, "finish", func() ([]bool, error) { return l.Ledger.Finish(ctx, results) })
}

// trappedEnqueuer has steps around Enqueue.
type trappedEnqueuer struct {
	ports.Enqueuer

	trap *trap
}

func (e trappedEnqueuer) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	return around(e.trap, "enqueue", func() ([]domain.EnqueueResult, error) { return e.Enqueuer.Enqueue(ctx, jobs...) })
}

// trappedDispatcher has steps around Dispatch.
type trappedDispatcher struct {
	ports.Dispatcher

	trap *trap
}

func (d trappedDispatcher) Dispatch(ctx context.Context, dispatches []domain.Dispatch) ([]domain.DispatchResult, error) {
	return around(d.trap, "dispatch", func() ([]domain.DispatchResult, error) { return d.Dispatcher.Dispatch(ctx, dispatches) })
}

// trappedConsumer has steps around the calls of a consumer.
type trappedConsumer struct {
	ports.Consumer

	trap *trap
}

func (c trappedConsumer) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	leases, err := c.Consumer.Reserve(ctx, limit)
	c.trap.at("after reserve")
	return leases, err
}

func (c trappedConsumer) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	return around(c.trap, "settle", func() (domain.SettleReply, error) { return c.Consumer.Settle(ctx, settlements, limit) })
}
