package redisqueue_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// done is what a call returns that has no result but its error.
type done struct{}

// clusterRows are all methods of queues and backends.
func clusterRows() map[string]clusterRow {
	rows := map[string]clusterRow{}
	for _, some := range []map[string]clusterRow{producerRows(), getterRows(), eventRows(), operationRows(), bulkRows(), familyRows(), backendRows(), limitRows()} {
		maps.Copy(rows, some)
	}
	return rows
}

// one adds a job that is ready.
func one(s *clusterScene) { s.add(domain.JobOptions{}) }

// later adds a job that is not.
func later(s *clusterScene) { s.add(domain.JobOptions{Delay: time.Hour}) }

// completed adds a job and works it.
func completed(s *clusterScene) {
	one(s)
	s.end(s.queue, domain.Outcome{Kind: domain.Completed, Result: []byte(`7`)})
}

// failed adds a job and lets it fail.
func failed(s *clusterScene) {
	one(s)
	s.end(s.queue, domain.Outcome{Kind: domain.Failed, Reason: "busy"})
}

// hourly makes a scheduler.
func hourly(s *clusterScene) {
	_, err := s.queue.UpsertScheduler(s.Context(), hour())
	s.need(err)
}

func hour() redisqueue.Scheduler {
	return redisqueue.Scheduler{ID: "hourly", Every: time.Hour, Template: redisqueue.Template{Name: "n"}}
}

// deduplicated adds a job that holds a key.
func deduplicated(s *clusterScene) {
	s.add(domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}})
}

// paused pauses the queue with a job.
func paused(s *clusterScene) {
	one(s)
	s.need(s.queue.Pause(s.Context()))
}

// logged adds a job with a line in its log.
func logged(s *clusterScene) {
	one(s)
	_, err := s.queue.AddLog(s.Context(), "one", "line", 0)
	s.need(err)
}

func producerRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Queue.Name": {act: func(_ context.Context, s *clusterScene) (any, error) {
			return strings.HasSuffix(string(s.queue.Name()), ".q"), nil
		}, want: true},
		"Queue.Add": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			added, err := s.queue.Add(ctx, redisqueue.NewJob{Name: "n", Options: domain.JobOptions{ID: "one"}})
			if err != nil {
				return nil, err
			}
			return added[0].Status, nil
		}, want: domain.Accepted},
		"Queue.DeduplicationOwner": {prepare: deduplicated, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.DeduplicationOwner(ctx, "k")
		}, want: domain.JobID("one")},
		"Queue.FreeDeduplication": {prepare: deduplicated, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.FreeDeduplication(ctx, "k")
		}, want: true},
		"Queue.FreeDeduplicationOf": {prepare: deduplicated, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.FreeDeduplicationOf(ctx, "one")
		}, want: true},
		"Queue.UpsertScheduler": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			state, err := s.queue.UpsertScheduler(ctx, hour())
			return state.Iterations, err
		}, want: int64(1)},
		"Queue.RemoveScheduler": {prepare: hourly, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.RemoveScheduler(ctx, "hourly")
		}, want: true},
		"Queue.RemoveRepeatable": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.RemoveRepeatable(ctx, redisqueue.Repeatable{Name: "n", Every: time.Hour})
		}, want: false},
		"Queue.Scheduler": {prepare: hourly, act: func(ctx context.Context, s *clusterScene) (any, error) {
			state, err := s.queue.Scheduler(ctx, "hourly")
			return state.Every, err
		}, want: time.Hour},
		"Queue.Schedulers": {prepare: hourly, act: func(ctx context.Context, s *clusterScene) (any, error) {
			states, err := s.queue.Schedulers(ctx, redisqueue.SchedulerRange{})
			return len(states), err
		}, want: 1},
		"Queue.CountSchedulers": {prepare: hourly, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.CountSchedulers(ctx)
		}, want: 1},
	}
}

func getterRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Queue.Counts": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) { return s.queue.Counts(ctx) }, want: redisqueue.Counts{Wait: 1}},
		"Queue.CountsByPriority": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.CountsByPriority(ctx, 0)
		}, want: map[int]int{0: 1}},
		"Queue.Ended": {prepare: completed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.Ended(ctx, "one")
		}, want: redisqueue.Ended{Finished: true, Result: []byte(`7`)}},
		"Queue.IsPaused": {prepare: paused, act: func(ctx context.Context, s *clusterScene) (any, error) { return s.queue.IsPaused(ctx) }, want: true},
		"Queue.Job": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			view, err := s.queue.Job(ctx, "one")
			return view.State, err
		}, want: domain.StateWait},
		"Queue.Jobs": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			views, err := s.queue.Jobs(ctx, redisqueue.JobQuery{States: []domain.State{domain.StateWait}})
			return len(views), err
		}, want: 1},
		"Queue.Log": {prepare: logged, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.queue.Log(ctx, "one", redisqueue.LogPage{})
		}, want: redisqueue.Log{Lines: []string{"line"}, Count: 1}},
		"Queue.Meta": {prepare: paused, act: func(ctx context.Context, s *clusterScene) (any, error) {
			meta, err := s.queue.Meta(ctx)
			return meta.Paused, err
		}, want: true},
		"Queue.Metrics": {prepare: completed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			metrics, err := s.queue.Metrics(ctx, domain.StateCompleted, 0, 0)
			return metrics.Count, err
		}, want: 1},
		"Queue.State": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) { return s.queue.State(ctx, "one") }, want: domain.StateWait},
		"Queue.WritePrometheus": {prepare: completed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			var text bytes.Buffer
			err := s.queue.WritePrometheus(ctx, &text, nil)
			return strings.Contains(text.String(), string(s.queue.Name())), err
		}, want: true},
		"Queue.Workers": {prepare: waitingWorker, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return untilSome(ctx, s.queue.Workers)
		}, want: 1},
		"Queue.EventReaders": {prepare: func(s *clusterScene) {
			ctx, stop := context.WithCancel(s.Context())
			reading := make(chan done)
			go func() {
				defer close(reading)
				for _, err := range s.queue.Events(ctx, redisqueue.EventsFromNow) {
					if err != nil {
						return // the end of the test
					}
				}
			}()
			s.Cleanup(func() { stop(); <-reading })
		}, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return untilSome(ctx, s.queue.EventReaders)
		}, want: 1},
	}
}

// waitingWorker has a worker wait for jobs, which never come. Its connection goes
// wherever its queue does; that of one who waits for nothing need not.
func waitingWorker(s *clusterScene) {
	worker, err := s.backend.OpenConsumer(ports.ConsumerOptions{Queue: s.queue.Name(), Worker: "w", Lease: time.Hour})
	s.need(err)
	ctx, leave := context.WithCancel(s.Context())
	waiting := make(chan done)
	go func() {
		defer close(waiting)
		_, _ = worker.Reserve(ctx, 1) // until the end of the test
	}()
	s.Cleanup(func() { leave(); <-waiting })
}

// untilSome returns how many connections there are once there are some: they
// are opened beside what opens them.
func untilSome(ctx context.Context, list func(context.Context) ([]redisqueue.Client, error)) (int, error) {
	for {
		clients, err := list(ctx)
		if err != nil || len(clients) > 0 {
			return len(clients), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func eventRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Queue.Events": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			for event, err := range s.queue.Events(ctx, redisqueue.EventsFromStart) {
				return event.Name, err
			}
			return nil, nil
		}, want: "added"},
		"Queue.LastEvent": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			id, err := s.queue.LastEvent(ctx)
			return id > redisqueue.EventsFromStart, err
		}, want: true},
		"Queue.PublishEvent": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			id, err := s.queue.PublishEvent(ctx, "mine", nil)
			return id > redisqueue.EventsFromStart, err
		}, want: true},
		"Queue.TrimEvents": {prepare: func(s *clusterScene) {
			_, err := s.queue.PublishEvent(s.Context(), "mine", nil)
			s.need(err)
		}, act: func(ctx context.Context, s *clusterScene) (any, error) { return s.queue.TrimEvents(ctx, 0) }, want: 1},
		"Queue.WaitUntilFinished": {prepare: completed, act: func(ctx context.Context, s *clusterScene) (any, error) {
			result, err := s.queue.WaitUntilFinished(ctx, "one")
			return string(result), err
		}, want: "7"},
	}
}

func backendRows() map[string]clusterRow {
	return map[string]clusterRow{
		"Backend.AddFlow": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			added, err := s.backend.AddFlow(ctx, s.node(s.queue, "one", "", s.node(s.parts, "part", "")))
			return len(added.Children), err
		}, want: 1},
		"Backend.AddFlows": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			added, err := s.backend.AddFlows(ctx, s.node(s.queue, "one", "", s.node(s.parts, "part", "")), s.node(s.parts, "alone", ""))
			return len(added), err
		}, want: 2},
		"Backend.Apply": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			return s.backend.Apply(ctx, s.queue.Name(), domain.Operation{Kind: domain.OpRemove, IDs: []domain.JobID{"one"}})
		}, want: []domain.JobID{"one"}},
		"Backend.Await": {act: func(ctx context.Context, s *clusterScene) (any, error) { return done{}, s.backend.Await(ctx) }, want: done{}},
		"Backend.Close": {act: func(_ context.Context, s *clusterScene) (any, error) {
			return done{}, operating(s.T, s.cluster, "{other}").backend.Close()
		}, want: done{}},
		"Backend.Counts": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			counts, err := s.backend.Counts(ctx, s.queue.Name(), s.parts.Name())
			return len(counts), err
		}, want: 2},
		"Backend.Dispatcher": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			run := domain.RunKey{Job: "nobody's", Origin: domain.OriginManual, OriginID: "x"}
			job := domain.NewJob{Queue: s.queue.Name(), Name: "n"}
			results, err := s.backend.Dispatcher().Dispatch(ctx, []domain.Dispatch{{Claim: domain.ClaimRef{Run: run, Token: 1}, Job: job}})
			if err != nil {
				return nil, err
			}
			return results[0].Status, nil
		}, want: domain.DispatchLost},
		"Backend.Enqueue": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			results, err := s.backend.Enqueue(ctx, domain.NewJob{Queue: s.queue.Name(), Name: "n", Options: domain.JobOptions{ID: "one"}})
			if err != nil {
				return nil, err
			}
			return results[0].Status, nil
		}, want: domain.Accepted},
		"Backend.Flow": {prepare: func(s *clusterScene) { s.family("") }, act: func(ctx context.Context, s *clusterScene) (any, error) {
			flow, err := s.backend.Flow(ctx, redisqueue.JobRef{Queue: s.queue.Name(), ID: "one"}, redisqueue.FlowLimits{})
			return len(flow.Children), err
		}, want: 1},
		"Backend.Health": {act: func(_ context.Context, s *clusterScene) (any, error) {
			since, reason := s.backend.Health()
			return since.IsZero() == (reason == nil), nil
		}, want: true},
		"Backend.Jobs": {prepare: one, act: func(ctx context.Context, s *clusterScene) (any, error) {
			views, err := s.backend.Jobs(ctx, s.queue.Name(), domain.JobFilter{State: domain.StateWait})
			return len(views), err
		}, want: 1},
		"Backend.Ledger": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			reply, err := s.backend.Ledger().Sync(ctx, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})
			return len(reply.Jobs), err
		}, want: 1},
		"Backend.OpenConsumer": {prepare: func(s *clusterScene) {
			one(s)
			c, err := s.backend.OpenConsumer(ports.ConsumerOptions{Queue: s.queue.Name(), Worker: "w", Lease: time.Hour})
			s.need(err)
			s.consumers[s.queue] = c
		}, act: func(ctx context.Context, s *clusterScene) (any, error) {
			leases, err := s.consumers[s.queue].Reserve(ctx, 1)
			if err != nil {
				return nil, err
			}
			return leases[0].Job.ID, nil
		}, want: domain.JobID("one")},
		"Backend.Ping": {act: func(ctx context.Context, s *clusterScene) (any, error) { return done{}, s.backend.Ping(ctx) }, want: done{}},
		"Backend.Survey": {act: func(ctx context.Context, s *clusterScene) (any, error) {
			told, err := s.backend.Survey(ctx)
			for errors.Is(err, ports.ErrUnavailable) && ctx.Err() == nil {
				// It asks once; who wants an answer asks again.
				told, err = s.backend.Survey(ctx)
			}
			return told.Rights.Complete() && !told.Replica, err
		}, want: true},
		"Backend.Queue": {act: func(_ context.Context, s *clusterScene) (any, error) {
			_, err := s.backend.Queue("q")
			return done{}, err
		}, want: done{}},
	}
}
