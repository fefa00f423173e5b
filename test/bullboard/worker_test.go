package bullboard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/redistest"
)

// shop is a queue of a Redis of its own that Takt fills and works.
type shop struct {
	*redisqueue.Queue

	t       *testing.T
	redis   *redistest.Server
	backend *redisqueue.Backend
}

func openShop(t *testing.T) *shop {
	t.Helper()
	server := redistest.Start(t)
	backend, err := redisqueue.New(redisqueue.Config{Connection: redisqueue.Connection{Addr: server.Addr}, MetricsMinutes: 60})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	queue, err := backend.Queue("mail")
	if err != nil {
		t.Fatal(err)
	}
	return &shop{Queue: queue, t: t, redis: server, backend: backend}
}

// add adds a job of the id, which is also its name.
func (s *shop) add(id, data string, options domain.JobOptions) {
	s.t.Helper()
	options.ID = domain.JobID(id)
	results, err := s.backend.Enqueue(s.t.Context(), domain.NewJob{Queue: "mail", Name: id, Data: []byte(data), Options: options})
	if err != nil || results[0].Status != domain.Accepted {
		s.t.Fatalf("Enqueue(%s) = %v, %v, want it accepted", id, results, err)
	}
}

// work starts a worker of one slot that stops with the test. It works the
// queue's jobs by their names; what it does not know is parked.
func (s *shop) work(queue domain.QueueName, handlers map[string]runner.HandlerFunc) {
	s.t.Helper()
	routes := map[string]runner.Route{}
	for name, handle := range handlers {
		routes[name] = runner.Route{Handler: handle}
	}
	r, err := runner.New(runner.Config{Replica: "takt-1"}, runner.Ports{
		OpenConsumer: s.backend.OpenConsumer, Log: slog.New(slog.DiscardHandler), Now: time.Now, Dice: rand.Float64,
	}, nil, []runner.Queue{{Name: queue, Concurrency: 1, Routes: routes}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := r.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		r.Stop(context.Background(), runner.StopBudget{Drain: time.Millisecond, Cancel: time.Second, Release: time.Second})
	})
}

// end waits for the end of a job.
func (s *shop) end(id string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, err := s.WaitUntilFinished(ctx, domain.JobID(id))
	if _, failed := errors.AsType[*redisqueue.JobFailedError](err); err != nil && !failed {
		s.t.Fatalf("WaitUntilFinished(%s) = %v, want its end", id, err)
	}
}

// await waits until the condition holds; what says what is waited for.
func (s *shop) await(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %s for: %s", patience, what)
		}
		redistest.Pass(10 * time.Millisecond)
	}
}

// awaitState waits until the job is in the state; empty is for none at all.
func (s *shop) awaitState(id string, want domain.State) {
	s.t.Helper()
	s.await(fmt.Sprintf("job %s in state %q", id, want), func() bool {
		state, err := s.State(s.t.Context(), domain.JobID(id))
		return state == want && (err == nil || errors.Is(err, ports.ErrNotFound))
	})
}

func (s *shop) awaitPaused(want bool) {
	s.t.Helper()
	s.await(fmt.Sprintf("paused = %t", want), func() bool {
		paused, err := s.IsPaused(s.t.Context())
		return err == nil && paused == want
	})
}

// awaitWorker waits until Redis knows the worker.
func (s *shop) awaitWorker() {
	s.t.Helper()
	s.await("a worker", func() bool {
		workers, err := s.Workers(s.t.Context())
		return err == nil && len(workers) == 1
	})
}

// awaitRetried waits until the job has failed in its n-th attempt.
func (s *shop) awaitRetried(id string, n int) {
	s.t.Helper()
	s.await(fmt.Sprintf("attempt %d of job %s", n, id), func() bool {
		view, err := s.Job(s.t.Context(), domain.JobID(id))
		return err == nil && view.State == domain.StateFailed && view.Job.AttemptsMade == n
	})
}

const hour = time.Hour

// age makes completed jobs an hour older.
func (s *shop) age(ids ...string) {
	s.t.Helper()
	then := time.Now().Add(-hour).UnixMilli()
	client := s.redis.Client()
	for _, id := range ids {
		for _, command := range [][]any{
			{"zadd", "bull:mail:completed", "xx", then, id}, {"hset", "bull:mail:" + id, "timestamp", then, "processedOn", then, "finishedOn", then},
		} {
			if err := client.Do(s.t.Context(), command...).Err(); err != nil {
				s.t.Fatalf("%v = %v, want no error", command, err)
			}
		}
	}
}

// schedule has a scheduler add a job of the name each hour.
func (s *shop) schedule(id, name string) {
	s.t.Helper()
	_, err := s.UpsertScheduler(s.t.Context(), redisqueue.Scheduler{ID: id, Every: hour, Template: redisqueue.Template{Name: name}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func welcome(ctx context.Context, _ *domain.Job) ([]byte, error) {
	err := errors.Join(app.Progress(ctx, 40), app.LogLine(ctx, "mailbox found"), app.LogLine(ctx, "letter written"))
	return []byte(`{"sent":true}`), err
}

func broken(context.Context, *domain.Job) ([]byte, error) { return nil, errNoMailbox }

func crash(context.Context, *domain.Job) ([]byte, error) { panic("the stamp is gone") }

var errNoMailbox = errors.New("no such mailbox")

// everyState has a job in each state that jobs can be in: the worker is held
// by one of them until release is closed.
func (s *shop) everyState() (release chan struct{}) {
	s.t.Helper()
	release = make(chan struct{})
	s.work("mail", map[string]runner.HandlerFunc{
		"welcome": welcome, "broken": broken, "crash": crash, "next": welcome, "vip": welcome, "later": welcome, "new": welcome,
		"hold": func(ctx context.Context, _ *domain.Job) ([]byte, error) {
			select {
			case <-release:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	})
	s.add("welcome", `{"to":"ann"}`, domain.JobOptions{})
	s.add("broken", `{"to":"bob"}`, domain.JobOptions{Attempts: 2})
	s.end("welcome")
	s.end("broken")
	s.add("crash", `{}`, domain.JobOptions{})
	s.end("crash")
	s.add("hold", `{"to":"cid"}`, domain.JobOptions{})
	s.awaitState("hold", domain.StateActive)
	s.add("next", `{"to":"dee"}`, domain.JobOptions{})
	s.add("vip", `{"to":"eve"}`, domain.JobOptions{Priority: 3})
	s.add("later", `{"to":"fay"}`, domain.JobOptions{Delay: time.Hour})
	return release
}

// flow has a parent wait whose first child is completed and whose second
// failed; it returns its id.
func (s *shop) flow() string {
	s.t.Helper()
	s.work("orders", map[string]runner.HandlerFunc{"pack": welcome, "bill": broken, "order": welcome})
	parent, err := s.backend.AddFlow(s.t.Context(), redisqueue.FlowNode{
		Queue: "orders", Name: "order", Data: []byte(`{"number":7}`), Options: domain.JobOptions{ID: "order-7"},
		Children: []redisqueue.FlowNode{
			{Queue: "orders", Name: "pack", Options: domain.JobOptions{ID: "pack-7"}},
			{Queue: "orders", Name: "bill", Options: domain.JobOptions{ID: "bill-7"}},
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	orders, err := s.backend.Queue("orders")
	if err != nil {
		s.t.Fatal(err)
	}
	mail := s.Queue
	s.Queue = orders
	s.awaitState("pack-7", domain.StateCompleted)
	s.awaitState("bill-7", domain.StateFailed)
	s.Queue = mail
	return string(parent.ID)
}
