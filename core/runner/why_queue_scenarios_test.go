package runner_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// toMail is the job "report", due every ten seconds, whose payload is how many
// seconds have passed.
func (f *fleet) toMail(t *testing.T, name string) runner.ScheduledJob {
	t.Helper()
	job := tensecondly(t, func(_ context.Context, run domain.RunKey, _ int) ([]byte, error) {
		return []byte(strconv.Itoa(int(run.Planned().Sub(f.origin).Seconds()))), nil
	})
	job.Target = domain.Target{Queue: "mail", JobName: name, Options: domain.JobOptions{
		Attempts: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second},
	}}
	return job
}

// worker returns a runner of the queue "mail" alone.
func (f *fleet) worker(t *testing.T, name string, handler runner.HandlerFunc) *replica {
	t.Helper()
	f.routes = map[string]runner.Route{"send": {Handler: handler, Timeout: 3 * time.Second}}
	defer func() { f.routes = nil }()
	return f.start(t, name)
}

func whyQueueJobWorked(t *testing.T, f *fleet) []history.Question {
	snoozed := map[string]bool{}
	f.worker(t, "cid", func(ctx context.Context, job *domain.Job) ([]byte, error) {
		first := !snoozed[string(job.Data)]
		snoozed[string(job.Data)] = true
		switch string(job.Data) {
		case "10":
			return []byte(`"sent"`), nil
		case "20":
			return nil, errBoom
		case "30":
			if first {
				return nil, domain.Snooze(2 * time.Second)
			}
			return nil, domain.Skip("no address")
		case "40":
			if first {
				return nil, domain.RateLimit(2 * time.Second)
			}
			return make([]byte, 300<<10), nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(59 * time.Second)
	return f.asks(10*time.Second, 20*time.Second, 30*time.Second, 40*time.Second, 50*time.Second)
}

// parents is a queue that knows flows, as the one in memory does not: a job
// waits three seconds for its children.
type parents struct{ ports.Consumer }

func (p parents) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	settlements = slices.Clone(settlements)
	for i := range settlements {
		if settlements[i].Outcome.Kind == domain.WaitingForChildren {
			settlements[i].Outcome = domain.Outcome{Kind: domain.Snoozed, After: 3 * time.Second}
		}
	}
	return p.Consumer.Settle(ctx, settlements, limit)
}

func (f *fleet) openConsumer(options ports.ConsumerOptions) (ports.Consumer, error) {
	consumer, err := f.queue.OpenConsumer(options)
	return parents{consumer}, err
}

func whyQueueJobWaited(t *testing.T, f *fleet) []history.Question {
	called := false
	f.worker(t, "cid", func(context.Context, *domain.Job) ([]byte, error) {
		if !called {
			called = true
			return nil, domain.WaitForChildren()
		}
		return []byte(`"sum"`), nil
	})
	f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(15 * time.Second)
	return f.asks(10 * time.Second)
}

func whyQueueJobUnhandled(t *testing.T, f *fleet) []history.Question {
	f.worker(t, "cid", func(context.Context, *domain.Job) ([]byte, error) { return nil, nil })
	f.start(t, "ann", f.toMail(t, "unheard"))
	f.waitUntil(15 * time.Second)
	return f.asks(10 * time.Second)
}

// die leases a job of the queue "mail" for a worker that dies under it.
func (f *fleet) die(t *testing.T, consumer ports.Consumer) {
	t.Helper()
	if leases, err := consumer.Reserve(t.Context(), 1); err != nil || len(leases) != 1 {
		t.Fatalf("Reserve = %+v, %v, want a job", leases, err)
	}
}

func whyQueueJobCrashed(t *testing.T, f *fleet) []history.Question {
	consumer, err := f.queue.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "dead", Lease: time.Second, Handles: []string{"send"}})
	if err != nil {
		t.Fatal(err)
	}
	ann := f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(11 * time.Second)
	ann.stop()
	for range 3 {
		f.die(t, consumer)
		<-time.After(2 * time.Second)
		bob := f.worker(t, "bob", func(ctx context.Context, _ *domain.Job) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		<-time.After(time.Second)
		bob.Stop(context.Background(), runner.StopBudget{Release: time.Second})
	}
	return f.asks(10 * time.Second)
}

func whyQueueJobHandedBack(t *testing.T, f *fleet) []history.Question {
	ann := f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(11 * time.Second)
	ann.stop()
	bob := f.worker(t, "bob", func(context.Context, *domain.Job) ([]byte, error) {
		<-time.After(2 * time.Second)
		return nil, errBoom
	})
	<-time.After(time.Second)
	bob.Stop(context.Background(), runner.StopBudget{Release: time.Second})
	<-time.After(10 * time.Second)
	return f.asks(10 * time.Second)
}
