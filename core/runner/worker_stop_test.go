package runner_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/portmock"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/core/runner"
)

var patience = runner.StopBudget{Drain: 10 * time.Second, Cancel: 3 * time.Second, Release: 2 * time.Second}

func lasting(d time.Duration) runner.Route {
	return route(func(context.Context, *domain.Job) ([]byte, error) {
		time.Sleep(d)
		return nil, nil
	})
}

func TestStopLetsJobsEndAndTakesNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(9 * time.Second)}, func(d *desk) { d.concurrency = 2 })
		ids := d.put("send", 3, domain.JobOptions{})
		synctest.Wait()
		began := time.Now()
		report := d.stop(patience)
		if took := time.Since(began); report != (runner.StopReport{}) || took != 9*time.Second {
			t.Errorf("Stop() = %+v after %s, want nothing left after 9s", report, took)
		}
		d.wantState(ids[0], domain.StateCompleted)
		d.wantState(ids[1], domain.StateCompleted)
		if view := d.wantState(ids[2], domain.StateWait); view.Job.AttemptsStarted != 0 {
			t.Errorf("%d attempts of the third job, want none", view.Job.AttemptsStarted)
		}
		if state := d.runner.Health().State; state != runner.StateStopped {
			t.Errorf("state = %s, want stopped", state)
		}
		if n := len(d.records()); n != 2 {
			t.Errorf("%d records are stored when Stop returns, want 2", n)
		}
	})
}

func TestStopCancelsWithErrShutdownWhatOutlivesTheDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 4)
		d := open(t, handlers{"send": until(causes)}, nil)
		ids := d.put("send", 4, domain.JobOptions{})
		synctest.Wait()
		began := time.Now()
		report := d.stop(patience)
		if took := time.Since(began); report.Jobs != 0 || took != patience.Drain {
			t.Errorf("Stop() = %+v after %s, want nothing left after %s", report, took, patience.Drain)
		}
		for _, id := range ids {
			if err := <-causes; !errors.Is(err, domain.ErrShutdown) {
				t.Errorf("cause = %v, want ErrShutdown", err)
			}
			if view := d.wantState(id, domain.StateWait); view.Job.AttemptsMade != 0 || view.Job.Crashes != 0 {
				t.Errorf("%d attempts and %d crashes are charged, want none", view.Job.AttemptsMade, view.Job.Crashes)
			}
		}
		d.wantCounts(map[domain.Event]int{domain.EventReturned: 4})
	})
}

func TestStopGivesBackToTheFrontWhatIgnoresItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(time.Hour)}, nil)
		d.put("send", 6, domain.JobOptions{})
		synctest.Wait()
		began := time.Now()
		report := d.stop(patience)
		if took := time.Since(began); report.Jobs != 4 || took != patience.Drain+patience.Cancel {
			t.Errorf("Stop() = %+v after %s, want 4 jobs after %s", report, took, patience.Drain+patience.Cancel)
		}
		views, err := d.backend.Jobs(t.Context(), mail, domain.JobFilter{State: domain.StateWait})
		if err != nil || len(views) != 6 {
			t.Fatalf("Jobs() = %v, %v, want all 6 waiting", views, err)
		}
		for i, view := range views {
			if want := domain.JobID(strconv.Itoa(i + 1)); view.Job.ID != want || view.Job.AttemptsMade != 0 {
				t.Errorf("job %d of the queue is %s, want %s: they go back to the front in order", i, view.Job.ID, want)
			}
		}
		d.wantCounts(map[domain.Event]int{domain.EventReturned: 4})
		time.Sleep(time.Hour)
		synctest.Wait()
		if late := d.runner.Counts()[domain.EventLate]; late != 4 {
			t.Errorf("%d late results, want 4", late)
		}
	})
}

func TestStopWritesOutcomesThatAnOutageHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil)}, nil)
		d.faults.Fail(porttest.CallSettle, 3, errDown)
		id := d.put("send", 1, domain.JobOptions{})[0]
		synctest.Wait()
		// No time to drain: the outcome is written in the time for releases.
		d.stop(runner.StopBudget{Release: 5 * time.Second})
		d.wantState(id, domain.StateCompleted)
	})
}

func TestStopDuringAnOutageEndsInTimeAndSaysWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil), "slow": lasting(time.Minute)}, nil)
		d.faults.Fail(porttest.CallSettle, 1000, errDown)
		d.put("slow", 1, domain.JobOptions{})
		d.put("send", 2, domain.JobOptions{})
		synctest.Wait()
		began := time.Now()
		report := d.stop(patience)
		if took, most := time.Since(began), patience.Drain+patience.Cancel+patience.Release+time.Second; took > most || report.Jobs != 1 {
			t.Errorf("Stop() = %+v after %s, want one job within %s", report, took, most)
		}
		d.wantCounts(map[domain.Event]int{domain.EventLost: 3})
		time.Sleep(time.Minute)
	})
}

func TestHurryEndsTheWaitsOfAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(time.Hour)}, nil)
		d.put("send", 2, domain.JobOptions{})
		synctest.Wait()
		done := make(chan runner.StopReport, 1)
		began := time.Now()
		go func() { done <- d.stop(patience) }()
		pass(time.Second)
		d.runner.Hurry()
		d.runner.Hurry()
		report := <-done
		if took := time.Since(began); report.Jobs != 2 || took > 2*time.Second {
			t.Errorf("Stop() = %+v after %s, want 2 jobs within a second of Hurry", report, took)
		}
		time.Sleep(time.Hour)
	})
}

func TestHurryBoundsTheCallsOfAStopToASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(time.Hour)}, nil)
		d.put("send", 2, domain.JobOptions{})
		synctest.Wait()
		d.faults.Fail(porttest.CallSettle, 10_000, errDown)
		began := time.Now()
		d.runner.Hurry()
		report := d.stop(runner.StopBudget{Drain: time.Hour, Cancel: time.Hour, Release: time.Hour})
		if took := time.Since(began); report.Jobs != 2 || took > 2*time.Second {
			t.Errorf("Stop() = %+v after %s, want 2 jobs after a second", report, took)
		}
		time.Sleep(time.Hour)
	})
}

func TestStopReleasesThoughItsContextHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(time.Hour)}, nil)
		id := d.put("send", 1, domain.JobOptions{})[0]
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if report := d.runner.Stop(ctx, patience); report.Jobs != 1 {
			t.Errorf("Stop() = %+v, want one job", report)
		}
		d.wantState(id, domain.StateWait)
		time.Sleep(time.Hour)
	})
}

func TestSecondStopReturnsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(5 * time.Second)}, nil)
		d.put("send", 1, domain.JobOptions{})
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.stop(patience)
		}()
		synctest.Wait()
		began := time.Now()
		if report := d.stop(patience); report != (runner.StopReport{}) || time.Since(began) != 0 {
			t.Errorf("second Stop() = %+v after %s, want nothing at once", report, time.Since(began))
		}
		if state := d.runner.Health().State; state != runner.StateDraining {
			t.Errorf("state = %s, want draining", state)
		}
		<-done
	})
}

func TestStopBeforeTheStartForbidsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := prepare(t, handlers{"send": returns(nil)}, nil)
		if report := d.stop(patience); report != (runner.StopReport{}) {
			t.Errorf("Stop() = %+v, want nothing", report)
		}
		if err := d.runner.Start(t.Context()); !errors.Is(err, runner.ErrStopping) {
			t.Errorf("Start() = %v, want ErrStopping", err)
		}
		if calls := d.faults.Calls(porttest.CallReserve); calls != 0 {
			t.Errorf("%d Reserve calls, want none", calls)
		}
	})
}

func TestStopDuringTheStartEndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opening := make(chan struct{})
		d := prepare(t, handlers{"send": returns(nil)}, func(d *desk) {
			next := d.ports.OpenConsumer
			d.ports.OpenConsumer = func(o ports.ConsumerOptions) (ports.Consumer, error) {
				<-opening
				return next(o)
			}
		})
		started := make(chan error, 1)
		go func() { started <- d.runner.Start(t.Context()) }()
		synctest.Wait()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			d.stop(patience)
		}()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("Stop() returned while the start was under way")
		default:
		}
		close(opening)
		if err := <-started; !errors.Is(err, runner.ErrStopping) {
			t.Errorf("Start() = %v, want ErrStopping", err)
		}
		<-stopped
		id := d.put("send", 1, domain.JobOptions{})[0]
		pass(time.Minute)
		d.wantState(id, domain.StateWait)
	})
}

func TestStartThatFailsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := prepare(t, nil, func(d *desk) {
			d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return nil, errDown }
		})
		if err := d.runner.Start(t.Context()); !errors.Is(err, errDown) || err.Error() != "open queue mail: store is down" {
			t.Errorf("Start() = %v, want the queue and the reason", err)
		}
		if state := d.runner.Health().State; state != runner.StateStopped {
			t.Errorf("state = %s, want stopped", state)
		}
	})
}

func TestRunnerStartsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil)}, nil)
		if err := d.runner.Start(t.Context()); !errors.Is(err, runner.ErrStopping) {
			t.Errorf("second Start() = %v, want ErrStopping", err)
		}
		id := d.put("send", 1, domain.JobOptions{})[0]
		pass(time.Second)
		d.wantState(id, domain.StateCompleted)
	})
}

func TestRunnerNeedsTheNameOfItsReplica(t *testing.T) {
	t.Parallel()
	if _, err := runner.New(runner.Config{}, runner.Ports{}, nil, nil); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("New() = %v, want ErrInvalid", err)
	}
}

// Jobs that a Reserve brings while the worker stops go back at once, except
// those that no worker can do anything with.
func TestStopReturnsJobsThatComeTooLate(t *testing.T) {
	t.Parallel()
	returned := domain.Outcome{Kind: domain.Returned, Reason: domain.ErrShutdown.Error()}
	for _, late := range []struct {
		lease   domain.Lease
		outcome domain.Outcome
		event   domain.Event
	}{
		{leaseOf(domain.JobOptions{}), returned, domain.EventReturned},
		{refusedLease(stalled), domain.Outcome{Kind: domain.Failed, Reason: stalled}, domain.EventQuarantined},
	} {
		synctest.Test(t, func(t *testing.T) {
			consumer := portmock.NewMockConsumer(gomock.NewController(t))
			consumer.EXPECT().Recover(gomock.Any()).Return(nil, nil).AnyTimes()
			consumer.EXPECT().Reserve(gomock.Any(), gomock.Any()).DoAndReturn(
				func(ctx context.Context, _ int) ([]domain.Lease, error) {
					<-ctx.Done()
					time.Sleep(2 * time.Second)
					return []domain.Lease{late.lease}, nil
				})
			consumer.EXPECT().Settle(gomock.Any(), settlement(late.outcome), 0).Return(settled, nil)
			d := prepare(t, handlers{"send": unseen(t)}, func(d *desk) {
				d.ports.OpenConsumer = func(ports.ConsumerOptions) (ports.Consumer, error) { return consumer, nil }
			})
			d.start()
			synctest.Wait()
			d.stop(patience)
			d.wantCounts(map[domain.Event]int{late.event: 1})
		})
	}
}

func TestHealthTellsOfOutcomesThatPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil)}, func(d *desk) { d.concurrency = 300 })
		d.faults.Fail(porttest.CallSettle, 100, errDown)
		d.put("send", 300, domain.JobOptions{})
		pass(time.Second)
		health := d.runner.Health()
		if queue := health.Queues[0]; queue.Unsettled != 300 || len(health.Problems) != 1 || health.State != runner.StateRunning {
			t.Errorf("Health() = %+v, want 300 unsettled outcomes as a problem", health)
		}
		for d.faults.Pending(porttest.CallSettle) > 0 {
			pass(time.Second)
		}
		pass(3 * time.Second)
		if health := d.runner.Health(); len(health.Problems) != 0 || health.Queues[0].Unsettled != 0 {
			t.Errorf("Health() = %+v, want all well after the outage", health)
		}
	})
}

// gate holds what a Reserve leased until it opens.
type gate struct {
	ports.Consumer

	open chan struct{}
}

func (g *gate) Reserve(ctx context.Context, limit int) ([]domain.Lease, error) {
	leases, err := g.Consumer.Reserve(ctx, limit)
	<-g.open
	return leases, err
}

func TestStop_returnsLeasesThatComeLateInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan struct{})
		d := open(t, handlers{"job": route(func(context.Context, *domain.Job) ([]byte, error) { return nil, nil })}, func(d *desk) {
			inner := d.ports.OpenConsumer
			d.ports.OpenConsumer = func(o ports.ConsumerOptions) (ports.Consumer, error) {
				consumer, err := inner(o)
				return &gate{Consumer: consumer, open: opened}, err
			}
		})
		ids := d.put("job", 4, domain.JobOptions{})
		pass(time.Second)
		time.AfterFunc(100*time.Millisecond, func() { close(opened) })
		d.stop(runner.StopBudget{Drain: time.Second, Cancel: time.Second, Release: time.Second})
		views, err := d.backend.Jobs(context.Background(), mail, domain.JobFilter{State: domain.StateWait})
		if err != nil {
			t.Fatal(err)
		}
		var got []domain.JobID
		for _, view := range views {
			got = append(got, view.Job.ID)
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("the queue after the stop (-want +got):\n%s", diff)
		}
	})
}
