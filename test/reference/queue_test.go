package reference_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
)

// startIn starts a worker of the environment.
func startIn(t *testing.T, variable string, options ...app.Option) *takttest.Worker {
	t.Helper()
	return takttest.StartWith(t, takttest.Config{Settings: settings(t, variable)}, options...)
}

func TestTheDefaultQueueIsThatOfTheVariable(t *testing.T) {
	for value, queue := range map[string]string{"": "worker-default", "main": "main"} {
		synctest.Test(t, func(t *testing.T) {
			w := startIn(t, "WORKER_DEFAULT_QUEUE="+value, handles("", nothing))
			w.Enqueue("", "send", nil)
			w.WantCompleted(queue, "send", 1)
		})
	}
}

func TestFurtherQueuesAreThoseOfTheVariable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, "WORKER_QUEUES=mail, reports", handles("mail", nothing))
		w.Enqueue("mail", "send", nil)
		w.WantCompleted("mail", "send", 1)
		w.Enqueue("reports", "print", nil)
		w.WantJobs("reports", "print", domain.StateWait, 1)
		w.Stop()
	})
	if _, err := app.New(settings(t), slog.New(slog.DiscardHandler), handles("mail", nothing)); err == nil || !strings.Contains(err.Error(), `queue "mail" is declared by no feature`) {
		t.Errorf("New without WORKER_QUEUES = %v, want that nobody declares mail", err)
	}
}

func TestQueueingIsOnUnlessTheVariableSaysOtherwise(t *testing.T) {
	for value, want := range map[string]error{"": nil, "true": nil, "false": app.ErrQueueingOff} {
		synctest.Test(t, func(t *testing.T) {
			var worked atomic.Int64
			w := startIn(t, "WORKER_QUEUE_ENABLED="+value, feature(app.Contribution{
				Jobs: []app.ScheduledJob{app.Schedule("job", func(context.Context, app.Run) (any, error) { return nil, nil }, app.QueueJobName("send"))},
				Handlers: []app.Handler{app.Handle("", "send", func(context.Context, app.Job[any]) (any, error) {
					worked.Add(1)
					return nil, nil
				})},
			}))
			if _, err := w.Service().Enqueue(t.Context(), "", "send", nil); !errors.Is(err, want) {
				t.Errorf("WORKER_QUEUE_ENABLED=%s: Enqueue = %v, want %v", value, err, want)
			}
			report := w.Trigger("job")
			event, jobs := domain.EventFired, int64(2)
			if want != nil {
				event, jobs = domain.EventCompleted, 0
			}
			if report.Event != event || worked.Load() != jobs {
				t.Errorf("WORKER_QUEUE_ENABLED=%s: the run is %s and %d jobs are worked, want %s and %d", value, report.Event, worked.Load(), event, jobs)
			}
		})
	}
}

func TestATargetWithoutQueuesIsAMistakeIfTheVariableSaysSo(t *testing.T) {
	job := jobs(app.Schedule("job", func(context.Context, app.Run) (any, error) { return nil, nil }, app.ToQueue("")))
	for value, mistake := range map[string]bool{"": false, "false": false, "true": true} {
		_, err := app.New(settings(t, "WORKER_QUEUE_ENABLED=false", "WORKER_STRICT_QUEUES="+value), slog.New(slog.DiscardHandler), job)
		if (err != nil) != mistake {
			t.Errorf("WORKER_STRICT_QUEUES=%s: New = %v, want an error: %t", value, err, mistake)
		}
	}
}

func TestUnknownJobsAreParkedUnlessTheVariableSaysOtherwise(t *testing.T) {
	for value, want := range map[string]domain.State{"": domain.StateParked, "park": domain.StateParked, "fail": domain.StateFailed} {
		synctest.Test(t, func(t *testing.T) {
			w := startIn(t, "WORKER_UNKNOWN_JOBS="+value, handles("", nothing))
			w.Enqueue("", "fax", nil, domain.JobOptions{Attempts: 5})
			w.WantJobs("worker-default", "fax", want, 1)
			if job := w.Jobs("worker-default", want)[0].Job; want == domain.StateParked && job.AttemptsMade != 0 {
				t.Errorf("%d attempts are charged to the parked job, want none", job.AttemptsMade)
			}
			w.Stop()
		})
	}
}

func TestTheVariableBoundsHowManyJobsOfAQueueAreWorkedAtATime(t *testing.T) {
	for value, want := range map[string]int{"": 10, "3": 3} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			now, most := 0, 0
			add := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				now += n
				most = max(most, now)
			}
			w := startIn(t, "WORKER_CONCURRENCY="+value, handles("", func() error {
				add(1)
				<-time.After(time.Minute)
				add(-1)
				return nil
			}))
			for range 40 {
				w.Enqueue("", "send", nil)
			}
			w.Advance(time.Hour)
			w.WantCompleted("worker-default", "send", 40)
			if most != want {
				t.Errorf("WORKER_CONCURRENCY=%s: %d jobs at a time, want %d", value, most, want)
			}
		})
	}
}

func TestAJobThatWaitsForItsRetryHoldsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, "WORKER_CONCURRENCY=1", feature(app.Contribution{Handlers: []app.Handler{
			app.Handle("", "fails", func(context.Context, app.Job[any]) (any, error) { return nil, errPaper }),
			app.Handle("", "send", func(context.Context, app.Job[any]) (any, error) { return nil, nil }),
		}}))
		w.Enqueue("", "fails", nil, domain.JobOptions{Attempts: 2, Backoff: domain.Backoff{Delay: time.Hour}})
		w.WantJobs("worker-default", "fails", domain.StateDelayed, 1)
		w.Enqueue("", "send", nil)
		w.WantCompleted("worker-default", "send", 1)
		w.Advance(time.Hour)
		w.WantFailed("worker-default", "fails", 1)
	})
}

func TestAQueueJobIsTriedAsOftenAndAsLateAsItsBackoffSays(t *testing.T) {
	for kind, want := range map[domain.BackoffKind]string{domain.BackoffFixed: "0s 10s 20s 30s", domain.BackoffExponential: "0s 10s 30s 1m10s"} {
		synctest.Test(t, func(t *testing.T) {
			var starts []string
			began := time.Now()
			w := takttest.Start(t, handles("", func() error {
				starts = append(starts, time.Since(began).String())
				return errPaper
			}))
			w.Enqueue("", "send", nil, domain.JobOptions{Attempts: 4, Backoff: domain.Backoff{Kind: kind, Delay: 10 * time.Second}})
			w.Advance(time.Hour)
			w.WantFailed("default", "send", 1)
			if got := strings.Join(starts, " "); got != want {
				t.Errorf("%s: the attempts begin at %q, want %q", fmt.Sprint(kind), got, want)
			}
		})
	}
}
