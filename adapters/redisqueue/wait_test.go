package redisqueue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// listener is a worker behind a proxy that waits for jobs of the queue "mail", and
// a producer that has its own way to the server.
type listener struct {
	server   *redistest.Server
	proxy    *proxy.Proxy
	producer *redisqueue.Backend
	consumer ports.Consumer
	// said is what the worker logs.
	said *journal
	// leave ends the wait, reserved has what it brought.
	leave    context.CancelFunc
	reserved chan reservation
}

type reservation struct {
	leases []domain.Lease
	err    error
}

const longLease = time.Minute

// newListener returns when the worker waits on the server. Exchanges with it that
// begin before follow the rule.
func newListener(t *testing.T, rule proxy.Rule) *listener {
	t.Helper()
	server := redistest.Start(t)
	w := &listener{server: server, proxy: proxy.Start(t, server.Addr), producer: open(t, server, nil), said: &journal{}}
	worker := open(t, server, func(c *redisqueue.Config) {
		c.Connection.Addr, c.Log = w.proxy.Addr, slog.New(slog.NewTextHandler(w.said, nil))
	})
	w.proxy.Set(rule)
	var err error
	w.consumer, err = worker.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: longLease})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	ctx, leave := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(leave)
	w.leave, w.reserved = leave, make(chan reservation, 1)
	go func() {
		leases, err := w.consumer.Reserve(ctx, 5)
		w.reserved <- reservation{leases: leases, err: err}
	}()
	awaitBlocked(t, server.Client())
	return w
}

// wantLease returns the lease of the only job, which nobody else has had.
func (w *listener) wantLease(t *testing.T) domain.Lease {
	t.Helper()
	r := <-w.reserved
	if r.err != nil || len(r.leases) != 1 || r.leases[0].Job.Crashes != 0 || r.leases[0].Job.AttemptsStarted != 1 {
		t.Fatalf("Reserve = %v, %v, want the first lease of the job", r.leases, r.err)
	}
	settle(t, w.consumer, r.leases[0])
	return r.leases[0]
}

func (w *listener) wantCounts(t *testing.T, wait, active int) {
	t.Helper()
	counts, err := w.producer.Counts(t.Context(), "mail")
	if err != nil || counts[0].Jobs[domain.StateWait] != wait || counts[0].Jobs[domain.StateActive] != active {
		t.Errorf("Counts = %v, %v, want %d jobs that wait and %d active", counts, err, wait, active)
	}
}

func TestAWaitingWorkerIsHandedItsJobUnasked(t *testing.T) {
	w := newListener(t, nil)
	w.proxy.Set(proxy.All(proxy.Verdict{Kind: proxy.DropRequest}))
	enqueueOne(t, w.producer)
	r := <-w.reserved
	if r.err != nil || len(r.leases) != 1 {
		t.Fatalf("Reserve = %v, %v, want the job although nothing can be asked any more", r.leases, r.err)
	}
	w.proxy.Set(nil)
	settle(t, w.consumer, r.leases[0])
}

func TestALeaseCountsFromTheBeginOfTheWait(t *testing.T) {
	w := newListener(t, nil)
	blocked := time.Now()
	redistest.Pass(300 * time.Millisecond)
	waited := time.Since(blocked)
	enqueueOne(t, w.producer)
	if got := w.wantLease(t).For; got > longLease-waited || got < longLease*3/4 {
		t.Errorf("For = %s after a wait of at least %s, want what is left of %s, and three quarters at least", got, waited, longLease)
	}
}

func TestAWorkerThatLeavesIsHandedNothing(t *testing.T) {
	w := newListener(t, nil)
	w.leave()
	if r := <-w.reserved; !errors.Is(r.err, context.Canceled) {
		t.Fatalf("Reserve = %v, %v, want the end of its context", r.leases, r.err)
	}
	enqueueOne(t, w.producer)
	for !strings.Contains(w.server.Client().Info(t.Context(), "clients").Val(), "blocked_clients:0") {
		redistest.Pass(time.Millisecond)
	}
	w.wantCounts(t, 1, 0)
	settle(t, w.consumer, reserve(t, w.consumer, 1)[0])
}

func TestAWaitingWorkerGetsItsJobFromAServerThatForgotTheScripts(t *testing.T) {
	w := newListener(t, nil)
	if err := w.server.Client().ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatalf("SCRIPT FLUSH = %v, want no error", err)
	}
	enqueueOne(t, w.producer)
	w.wantLease(t)
}

func TestAJobIsNotLostWithTheAnswerToAWait(t *testing.T) {
	w := newListener(t, proxy.Every(1, proxy.Verdict{Kind: proxy.DropReply}, func(request []byte) bool {
		return bytes.Contains(request, []byte("bzpopmin"))
	}))
	w.proxy.Set(nil)
	enqueueOne(t, w.producer)
	w.wantLease(t)
	w.wantCounts(t, 0, 0)
}

func TestAJobThatComesAfterACutIsNotWaitedFor(t *testing.T) {
	w := newListener(t, nil)
	w.proxy.Cut()
	enqueueOne(t, w.producer)
	came := time.Now()
	w.wantLease(t)
	if took := time.Since(came); took > time.Second {
		t.Errorf("the job was taken %s after it came, want it taken as soon as the worker is connected again", took)
	}
}

// TestAWaitThatIsAnsweredSaysThatTheServerIsBack has a worker ask for nothing
// else, once the connection that it waits on was cut.
func TestAWaitThatIsAnsweredSaysThatTheServerIsBack(t *testing.T) {
	w := newListener(t, nil)
	w.proxy.Cut()
	for _, said := range []string{"redis does not answer", "redis answers again"} {
		for began := time.Now(); w.said.count(said) == 0; redistest.Pass(10 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("the log does not say %q", said)
			}
		}
	}
	enqueueOne(t, w.producer)
	w.wantLease(t)
}
