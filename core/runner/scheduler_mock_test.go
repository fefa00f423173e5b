package runner_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/mock/gomock"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/portmock"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// stagedRunner is a runner whose ports are all mocks. Syncs, renewals and
// searches for abandoned runs are answered; what else happens is up to the test.
type stagedRunner struct {
	ledger     *portmock.MockLedger
	dispatcher *portmock.MockDispatcher
	waker      *portmock.MockWaker
	handler    *portmock.MockScheduledHandler
	runs       *portmock.MockRunStore
	events     []domain.Record
	wake       func()
	began      time.Time
	*runner.Runner
}

func stageRunner(t *testing.T, job runner.ScheduledJob) *stagedRunner {
	t.Helper()
	ctrl := gomock.NewController(t)
	s := &stagedRunner{
		ledger: portmock.NewMockLedger(ctrl), dispatcher: portmock.NewMockDispatcher(ctrl),
		waker: portmock.NewMockWaker(ctrl), handler: portmock.NewMockScheduledHandler(ctrl),
		runs: portmock.NewMockRunStore(ctrl), began: time.Now(),
	}
	s.ledger.EXPECT().Sync(gomock.Any(), gomock.Any()).AnyTimes().DoAndReturn(
		func(context.Context, domain.SyncRequest) (domain.SyncReply, error) {
			return domain.SyncReply{Now: time.Now(), Scope: domain.ScopeFleet, Jobs: []domain.JobState{{Job: "report", Cursor: s.began}}}, nil
		})
	s.ledger.EXPECT().Abandoned(gomock.Any(), "ann", gomock.Any(), gomock.Any()).AnyTimes().Return(nil, nil)
	s.waker.EXPECT().Start(gomock.Any()).DoAndReturn(func(wake func()) error {
		s.wake = wake
		return nil
	})
	s.waker.EXPECT().Arm(gomock.Any()).AnyTimes().Return(nil)
	s.waker.EXPECT().Stop(gomock.Any()).Return(nil)
	s.runs.EXPECT().Query(gomock.Any(), gomock.Any()).AnyTimes().Return(nil, nil)
	s.runs.EXPECT().Append(gomock.Any(), gomock.Any()).AnyTimes().DoAndReturn(func(_ context.Context, records []domain.Record) error {
		for _, record := range records {
			if record.IsDecision() {
				s.events = append(s.events, record)
			}
		}
		return nil
	})
	job.Name, job.Fingerprint, job.Handler = "report", "v1", s.handler
	r, err := runner.New(runner.Config{Replica: "ann", MaxPayload: 64}, runner.Ports{
		Ledger: s.ledger, Dispatcher: s.dispatcher, Waker: s.waker, Runs: s.runs,
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Dice: func() float64 { return 0 },
	}, []runner.ScheduledJob{job}, nil)
	if err != nil {
		t.Fatalf("New = %v, want a runner", err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("Start = %v, want no error", err)
	}
	s.Runner = r
	return s
}

// renews answers renewals.
func (s *stagedRunner) renews(answer domain.Renewal, err error) {
	s.ledger.EXPECT().Renew(gomock.Any(), gomock.Any(), gomock.Any()).AnyTimes().DoAndReturn(
		func(_ context.Context, refs []domain.ClaimRef, _ time.Duration) ([]domain.Renewal, error) {
			answers := make([]domain.Renewal, len(refs))
			for i := range answers {
				answers[i] = answer
			}
			return answers, err
		})
}

// grants answers a claim that asks for the slot in the given way.
func (s *stagedRunner) grants(slot domain.Slot, kind domain.VerdictKind) *gomock.Call {
	return s.ledger.EXPECT().Claim(gomock.Any(), gomock.Cond(func(intents []domain.Intent) bool {
		return len(intents) == 1 && intents[0].Slot == slot
	})).DoAndReturn(func(_ context.Context, intents []domain.Intent) ([]domain.Verdict, error) {
		phase := domain.PhaseStarted
		if slot == domain.SlotLater || kind == domain.Queued {
			phase = domain.PhaseClaimed
		}
		return []domain.Verdict{{Kind: kind, By: domain.RunKey{Job: "report", Origin: domain.OriginManual, OriginID: "zero"}, Claim: domain.Claim{
			Run: intents[0].Run, Token: 7, Phase: phase, Lease: intents[0].Lease, Fingerprint: "v1",
		}}}, nil
	}).Call
}

// finishes expects one end of the run.
func (s *stagedRunner) finishes() *gomock.Call {
	return s.ledger.EXPECT().Finish(gomock.Any(), gomock.Cond(func(results []domain.RunResult) bool {
		return len(results) == 1 && results[0].End == domain.EndFinished && results[0].Claim.Token == 7
	})).Return([]bool{true}, nil).Call
}

// attempt expects one attempt, at the given time of the test.
func (s *stagedRunner) attempt(t *testing.T, n int, at time.Duration, fn runFunc) *gomock.Call {
	t.Helper()
	return s.handler.EXPECT().HandleRun(gomock.Any(), gomock.Any(), n).DoAndReturn(
		func(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error) {
			if got := time.Since(s.began); got != at {
				t.Errorf("attempt %d began at %s, want %s", attempt, got, at)
			}
			return fn(ctx, run, attempt)
		}).Call
}

// run triggers the job by hand, stops the runner, and returns the report.
func (s *stagedRunner) run(t *testing.T) runner.RunReport {
	t.Helper()
	report, err := s.Trigger(t.Context(), "report", "one")
	if err != nil {
		t.Errorf("Trigger = %v, want a report", err)
	}
	s.Stop(context.Background(), quickStop)
	return report
}

func wantReport(t *testing.T, got runner.RunReport, event domain.Event, attempts int) {
	t.Helper()
	if got.Event != event || got.Attempts != attempts {
		t.Errorf("report = %+v, want %s after %d attempts", got, event, attempts)
	}
}

func TestRetryOfRun_followsTheBackoffAndCountsExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{Policy: domain.RunPolicy{Retries: domain.Retries{
			Count: 3, Backoff: domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second},
		}}})
		gomock.InOrder(
			s.grants(domain.SlotSkip, domain.Granted),
			s.attempt(t, 1, 0, fails("one")),
			s.attempt(t, 2, time.Second, fails("two")),
			s.attempt(t, 3, 3*time.Second, fails("three")),
			s.attempt(t, 4, 7*time.Second, fails("four")),
			s.finishes())
		s.renews(domain.RenewalHeld, nil)
		report := s.run(t)
		wantReport(t, report, domain.EventFailed, 4)
		if report.Reason != "four" {
			t.Errorf("Reason = %q, want the last attempt's", report.Reason)
		}
	})
}

func TestRetryOfRun_endsWithSuccessOrAPermanentFailure(t *testing.T) {
	for name, c := range map[string]struct {
		second runFunc
		want   domain.Event
	}{
		"success": {takes(0), domain.EventCompleted},
		"skip":    {func(context.Context, domain.RunKey, int) ([]byte, error) { return nil, domain.Skip("nothing") }, domain.EventSkipped},
		"permanent": {func(context.Context, domain.RunKey, int) ([]byte, error) {
			return nil, domain.Permanent(errors.New("no"))
		}, domain.EventFailed},
		"panic": {func(context.Context, domain.RunKey, int) ([]byte, error) { panic("boo") }, domain.EventFailed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := stageRunner(t, runner.ScheduledJob{Policy: domain.RunPolicy{Retries: domain.Retries{Count: 1}}})
				gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted),
					s.attempt(t, 1, 0, func(context.Context, domain.RunKey, int) ([]byte, error) {
						return nil, domain.RetryAfter(5*time.Second, errors.New("later"))
					}),
					s.attempt(t, 2, 5*time.Second, c.second), s.finishes())
				s.renews(domain.RenewalHeld, nil)
				wantReport(t, s.run(t), c.want, 2)
			})
		})
	}
}

func TestRetryOfRun_neverFollowsAPermanentFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{Policy: domain.RunPolicy{Retries: domain.Retries{Count: 5}}})
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted),
			s.attempt(t, 1, 0, func(context.Context, domain.RunKey, int) ([]byte, error) {
				return nil, domain.Permanent(errors.New("no"))
			}),
			s.finishes())
		wantReport(t, s.run(t), domain.EventFailed, 1)
	})
}

func TestTimeoutOfRun_endsTheAttemptAndIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{Policy: domain.RunPolicy{Timeout: 2 * time.Second, Retries: domain.Retries{Count: 1}}})
		slow := func(ctx context.Context, _ domain.RunKey, _ int) ([]byte, error) {
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, domain.ErrTimeout) {
				t.Errorf("cause = %v, want ErrTimeout", cause)
			}
			return nil, ctx.Err()
		}
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted),
			s.attempt(t, 1, 0, slow), s.attempt(t, 2, 2*time.Second, slow), s.finishes())
		wantReport(t, s.run(t), domain.EventFailed, 2)
		wantEvents(t, s.events, domain.EventClaimed, domain.EventStarted, domain.EventTimedOut, domain.EventStarted, domain.EventFailed)
	})
}

func wantEvents(t *testing.T, records []domain.Record, want ...domain.Event) {
	t.Helper()
	var got, wanted []string
	for _, record := range records {
		got = append(got, string(record.Event))
	}
	for _, event := range want {
		wanted = append(wanted, string(event))
	}
	wantLines(t, "events", got, wanted...)
}

func TestTimeoutOfRun_discardsALateResultAndNeverOverlapsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{
			Policy: domain.RunPolicy{Timeout: time.Second, Retries: domain.Retries{Count: 1}},
			Target: domain.Target{Queue: "mail", JobName: "send"},
		})
		deaf := func(context.Context, domain.RunKey, int) ([]byte, error) {
			time.Sleep(10 * time.Second)
			return []byte(`1`), nil
		}
		// No dispatch is expected: nothing is enqueued after the deadline.
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted),
			s.attempt(t, 1, 0, deaf), s.attempt(t, 2, 10*time.Second, deaf), s.finishes())
		s.renews(domain.RenewalHeld, nil)
		wantReport(t, s.run(t), domain.EventFailed, 2)
		wantEvents(t, s.events, domain.EventClaimed,
			domain.EventStarted, domain.EventStuck, domain.EventLate, domain.EventTimedOut,
			domain.EventStarted, domain.EventStuck, domain.EventLate, domain.EventFailed)
		if stack := s.events[2].Stack; !strings.Contains(stack, "time.Sleep") {
			t.Errorf("the stack of the stuck handler is %q, want it to show where", stack)
		}
	})
}

func TestOverlapOfRuns_blockedRunCallsNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{})
		s.grants(domain.SlotSkip, domain.Blocked)
		report := s.run(t)
		wantReport(t, report, domain.EventSkipped, 0)
		if report.Reason != domain.ReasonOverlap || report.By != "report@manual:zero" {
			t.Errorf("report = %+v, want it to name the run in the way", report)
		}
	})
}

func TestOverlapOfRuns_queuedRunAsksAgainUntilItIsGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{Policy: domain.RunPolicy{Overlap: domain.OverlapQueueOne}})
		gomock.InOrder(
			s.grants(domain.SlotQueue, domain.Queued), s.grants(domain.SlotQueue, domain.Queued), s.grants(domain.SlotQueue, domain.Queued),
			s.grants(domain.SlotQueue, domain.Granted),
			s.attempt(t, 1, time.Second, takes(0)), s.finishes())
		wantReport(t, s.run(t), domain.EventCompleted, 1)
	})
}

func TestJitterOfRun_comesBeforeTheSlotAndTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 30 * time.Second
		s := stageRunner(t, runner.ScheduledJob{Schedule: schedule.Every{Interval: time.Minute}, Policy: domain.RunPolicy{MaxJitter: most}})
		planned := s.began.Add(time.Minute)
		jitter := domain.Jitter(domain.DefaultNamespace, "report", planned, most)
		if jitter == 0 {
			t.Fatal("the jitter is zero, want another tick for this test")
		}
		gomock.InOrder(s.grants(domain.SlotLater, domain.Granted), s.grants(domain.SlotSkip, domain.Granted),
			s.attempt(t, 1, time.Minute+jitter, takes(0)), s.finishes())
		s.renews(domain.RenewalHeld, nil)
		time.Sleep(time.Minute)
		s.wake()
		time.Sleep(most + time.Second)
		s.Stop(context.Background(), quickStop)
		wantEvents(t, s.events, domain.EventClaimed, domain.EventJittered, domain.EventStarted, domain.EventCompleted)
	})
}

func TestLostClaimOfRun_cancelsTheHandlerAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{Target: domain.Target{Queue: "mail", JobName: "send"}})
		// Neither a dispatch nor a finish is expected.
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, func(ctx context.Context, _ domain.RunKey, _ int) ([]byte, error) {
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, domain.ErrLeaseLost) {
				t.Errorf("cause = %v, want ErrLeaseLost", cause)
			}
			return []byte(`1`), nil
		}))
		s.renews(domain.RenewalLost, nil)
		report := s.run(t)
		wantReport(t, report, domain.EventLost, 1)
		if took := time.Since(s.began); took != 5*time.Second {
			t.Errorf("the handler ended at %s, want the first renewal's 5s", took)
		}
	})
}

func TestLostClaimOfRun_isAssumedALeaseAfterTheLastRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{})
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, takes(time.Hour)))
		s.renews(0, ports.ErrUnavailable)
		wantReport(t, s.run(t), domain.EventLost, 1)
		if took := time.Since(s.began); took != 15*time.Second {
			t.Errorf("the handler ended at %s, want it when the lease does, 15s", took)
		}
	})
}

func TestLostClaimOfRun_isRecordedWhenItsEndComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, runner.ScheduledJob{})
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, takes(0)),
			s.ledger.EXPECT().Finish(gomock.Any(), gomock.Any()).Return([]bool{false}, nil).Call)
		wantReport(t, s.run(t), domain.EventCompleted, 1)
		wantEvents(t, s.events, domain.EventClaimed, domain.EventStarted, domain.EventCompleted, domain.EventLost)
	})
}

// dispatches expects one dispatch of the payload.
func (s *stagedRunner) dispatches(payload string, result domain.DispatchResult, err error) *gomock.Call {
	return s.dispatcher.EXPECT().Dispatch(gomock.Any(), gomock.Cond(func(dispatches []domain.Dispatch) bool {
		return len(dispatches) == 1 && string(dispatches[0].Job.Data) == payload && dispatches[0].Claim.Token == 7
	})).DoAndReturn(func(context.Context, []domain.Dispatch) ([]domain.DispatchResult, error) {
		if err != nil {
			return nil, err
		}
		return []domain.DispatchResult{result}, nil
	}).Call
}

func queuedJob(retries int) runner.ScheduledJob {
	return runner.ScheduledJob{
		Target: domain.Target{Queue: "mail", JobName: "send"},
		Policy: domain.RunPolicy{Retries: domain.Retries{Count: retries, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second}}},
	}
}

func TestFailedEnqueueOfRun_triesTheHandlerAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, queuedJob(2))
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted),
			s.attempt(t, 1, 0, makes(`1`)), s.dispatches(`1`, domain.DispatchResult{Err: ports.ErrQueueFull}, nil),
			s.attempt(t, 2, time.Second, makes(`2`)), s.dispatches(`2`, domain.DispatchResult{Err: ports.ErrQueueFull}, nil),
			s.attempt(t, 3, 2*time.Second, makes(`3`)), s.dispatches(`3`, domain.DispatchResult{Status: domain.Dispatched, ID: "x"}, nil))
		report := s.run(t)
		wantReport(t, report, domain.EventFired, 3)
		if report.JobID != "x" {
			t.Errorf("JobID = %q, want the queue's", report.JobID)
		}
	})
}

func TestFailedEnqueueOfRun_isRepeatedWithoutTheHandlerWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, queuedJob(0))
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, makes(`1`)),
			s.dispatches(`1`, domain.DispatchResult{}, ports.ErrUnavailable),
			s.dispatches(`1`, domain.DispatchResult{}, errors.New("reply lost")),
			s.dispatches(`1`, domain.DispatchResult{Status: domain.Dispatched, ID: "x"}, nil))
		wantReport(t, s.run(t), domain.EventFired, 1)
	})
}

func TestFailedEnqueueOfRun_isPermanentForAPayloadThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, queuedJob(5))
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, makes(strings.Repeat("1", 65))), s.finishes())
		report := s.run(t)
		wantReport(t, report, domain.EventFailed, 1)
		if !strings.Contains(report.Reason, "65 bytes") {
			t.Errorf("Reason = %q, want the size", report.Reason)
		}
	})
}

func TestFailedEnqueueOfRun_isPermanentForAJobThatTheQueueFindsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, queuedJob(5))
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, makes(`1`)),
			s.dispatches(`1`, domain.DispatchResult{Err: domain.ErrTooLarge}, nil), s.finishes())
		wantReport(t, s.run(t), domain.EventFailed, 1)
	})
}

func TestFailedEnqueueOfRun_endsTheRunWhenItsClaimIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, queuedJob(5))
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0, makes(`1`)),
			s.dispatches(`1`, domain.DispatchResult{Status: domain.DispatchLost}, nil))
		wantReport(t, s.run(t), domain.EventLost, 1)
	})
}

func TestFailedEnqueueOfRun_neverComesFromASkippedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stageRunner(t, queuedJob(5))
		gomock.InOrder(s.grants(domain.SlotSkip, domain.Granted), s.attempt(t, 1, 0,
			func(context.Context, domain.RunKey, int) ([]byte, error) {
				return []byte(`1`), domain.Skip("nothing new")
			}),
			s.finishes())
		wantReport(t, s.run(t), domain.EventSkipped, 1)
	})
}
