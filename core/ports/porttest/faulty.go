package porttest

import (
	"context"
	"sync"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// Call is a method of a port that can be made to fail.
type Call string

// The calls that faulty wrappers know.
const (
	CallEnqueue  Call = "enqueue"
	CallReserve  Call = "reserve"
	CallSettle   Call = "settle"
	CallExtend   Call = "extend"
	CallRecover  Call = "recover"
	CallAnnotate Call = "annotate"
)

// Faults says what befalls which calls of the wrappers that share it. The
// zero value lets every call pass. It is safe for concurrent use.
type Faults struct {
	mu      sync.Mutex
	planned map[Call][]fault
	calls   map[Call]int
}

// fault is what befalls one call.
type fault struct {
	err error
	// lost lets the call take effect before it fails.
	lost bool
	// until holds the call back until it is closed.
	until <-chan struct{}
}

// Fail makes the next n calls return err without effect.
func (f *Faults) Fail(call Call, n int, err error) {
	for range n {
		f.plan(call, fault{err: err})
	}
}

// Lose lets the next n calls take effect and then return err: the reply was
// lost on the way.
func (f *Faults) Lose(call Call, n int, err error) {
	for range n {
		f.plan(call, fault{err: err, lost: true})
	}
}

// Hold keeps the next call from the backend until release is called or the
// context of the call ends. Calling release again does no harm.
func (f *Faults) Hold(call Call) (release func()) {
	until := make(chan struct{})
	f.plan(call, fault{until: until})
	return sync.OnceFunc(func() { close(until) })
}

// Calls returns how many calls were made so far, the failed ones included.
func (f *Faults) Calls(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// Pending returns how many planned faults no call has met yet.
func (f *Faults) Pending(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.planned[call])
}

func (f *Faults) plan(call Call, planned fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.planned == nil {
		f.planned = map[Call][]fault{}
	}
	f.planned[call] = append(f.planned[call], planned)
}

func (f *Faults) next(call Call) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[Call]int{}
	}
	f.calls[call]++
	planned := f.planned[call]
	if len(planned) == 0 {
		return fault{}
	}
	f.planned[call] = planned[1:]
	return planned[0]
}

// through makes a call, or what a fault leaves of it.
func through[T any](ctx context.Context, f *Faults, call Call, do func() (T, error)) (T, error) {
	var none T
	fault := f.next(call)
	if fault.until != nil {
		select {
		case <-fault.until:
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	if fault.err != nil && !fault.lost {
		return none, fault.err
	}
	reply, err := do()
	if fault.lost {
		return none, fault.err
	}
	return reply, err
}

// FaultyEnqueuer returns an Enqueuer that passes calls on to next unless
// faults say otherwise.
func FaultyEnqueuer(next ports.Enqueuer, faults *Faults) ports.Enqueuer {
	return &faultyEnqueuer{next: next, faults: faults}
}

type faultyEnqueuer struct {
	next   ports.Enqueuer
	faults *Faults
}

// Enqueue passes the call on unless a fault befalls it.
func (e *faultyEnqueuer) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	return through(ctx, e.faults, CallEnqueue, func() ([]domain.EnqueueResult, error) { return e.next.Enqueue(ctx, jobs...) })
}

// FaultyConsumer returns a Consumer that passes calls on to next unless
// faults say otherwise. Leases of a lost reply stay leased until they run out.
func FaultyConsumer(next ports.Consumer, faults *Faults) ports.Consumer {
	return &faultyConsumer{next: next, faults: faults}
}

// FaultyConsumers returns a function that opens faulty consumers.
func FaultyConsumers(open ports.OpenConsumer, faults *Faults) ports.OpenConsumer {
	return func(options ports.ConsumerOptions) (ports.Consumer, error) {
		next, err := open(options)
		if err != nil {
			return nil, err
		}
		return FaultyConsumer(next, faults), nil
	}
}

type faultyConsumer struct {
	next   ports.Consumer
	faults *Faults
}

// Reserve passes the call on unless a fault befalls it.
func (c *faultyConsumer) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	return through(ctx, c.faults, CallReserve, func() ([]domain.Lease, error) { return c.next.Reserve(ctx, limit) })
}

// Settle passes the call on unless a fault befalls it.
func (c *faultyConsumer) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	return through(ctx, c.faults, CallSettle, func() (domain.SettleReply, error) { return c.next.Settle(ctx, settlements, limit) })
}

// Extend passes the call on unless a fault befalls it.
func (c *faultyConsumer) Extend(ctx context.Context, leases []domain.LeaseRef) ([]domain.LeaseRef, error) {
	return through(ctx, c.faults, CallExtend, func() ([]domain.LeaseRef, error) { return c.next.Extend(ctx, leases) })
}

// Recover passes the call on unless a fault befalls it.
func (c *faultyConsumer) Recover(ctx context.Context) ([]domain.Recovered, error) {
	return through(ctx, c.faults, CallRecover, func() ([]domain.Recovered, error) { return c.next.Recover(ctx) })
}

// Annotate passes the call on unless a fault befalls it.
func (c *faultyConsumer) Annotate(ctx context.Context, notes []domain.Note) ([]domain.LeaseRef, error) {
	return through(ctx, c.faults, CallAnnotate, func() ([]domain.LeaseRef, error) { return c.next.Annotate(ctx, notes) })
}
