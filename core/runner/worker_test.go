package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
	"github.com/taktwork/takt/core/runner"
)

func TestJobIsWorkedAndItsResultKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": {Handler: runner.Handle(func(_ context.Context, job runner.Job[map[string]int]) (any, error) {
			return job.Data["n"] + 1, nil
		})}}, nil)
		ids := d.enqueue(domain.NewJob{Queue: mail, Name: "send", Data: []byte(`{"n":1}`)})
		pass(time.Second)
		if view := d.wantState(ids[0], domain.StateCompleted); string(view.Result) != "2" {
			t.Errorf("result = %s, want 2", view.Result)
		}
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 1})
		if lines := d.log.with("job completed"); len(lines) != 1 || lines[0].level != slog.LevelDebug || lines[0].attrs["queue"] != "mail" {
			t.Errorf("log = %v, want one line of the completed job", d.log)
		}
	})
}

func TestErrorsSteerWhatFollows(t *testing.T) {
	t.Parallel()
	twice := domain.JobOptions{Attempts: 2, Backoff: domain.Backoff{Delay: time.Minute}}
	for _, c := range []struct {
		name   string
		err    error
		state  domain.State
		event  domain.Event
		due    time.Duration
		made   int
		reason string
	}{
		{"plain", errBoom, domain.StateDelayed, domain.EventRetrying, time.Minute, 1, "boom"},
		{"retry after", domain.RetryAfter(time.Hour, errBoom), domain.StateDelayed, domain.EventRetrying, time.Hour, 1, "boom (retry after 1h0m0s)"},
		{"permanent", domain.Permanent(errBoom), domain.StateFailed, domain.EventFailed, 0, 1, "boom"},
		{"skip", domain.Skip("no mail"), domain.StateCompleted, domain.EventSkipped, 0, 0, ""},
		{"snooze", domain.Snooze(time.Hour), domain.StateDelayed, domain.EventSnoozed, time.Hour, 0, ""},
		{
			"children", domain.WaitForChildren(), domain.StateFailed, domain.EventFailed, 0, 1,
			"queue mail knows no children to wait for",
		},
		{"rate limit", domain.RateLimit(time.Hour), domain.StateWait, domain.EventLimited, 0, 0, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, handlers{"send": returns(c.err)}, nil)
			id := d.put("send", 1, twice)[0]
			began := time.Now()
			pass(time.Second)
			view := d.wantState(id, c.state)
			if view.Job.AttemptsMade != c.made || view.Reason != c.reason {
				t.Errorf("%s: %d attempts made, reason %q, want %d and %q", c.name, view.Job.AttemptsMade, view.Reason, c.made, c.reason)
			}
			if c.due > 0 && view.DueAt.Sub(began).Round(time.Second) != c.due {
				t.Errorf("%s: due after %s, want %s", c.name, view.DueAt.Sub(began), c.due)
			}
			d.wantCounts(map[domain.Event]int{c.event: 1})
		})
	}
}

func TestRateLimitHoldsTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		d := open(t, handlers{"send": route(func(context.Context, *domain.Job) ([]byte, error) {
			if calls.Add(1) == 1 {
				return nil, domain.RateLimit(time.Minute)
			}
			return nil, nil
		})}, nil)
		d.put("send", 1, domain.JobOptions{})
		pass(time.Second)
		d.put("send", 3, domain.JobOptions{})
		pass(58 * time.Second)
		if got := calls.Load(); got != 1 {
			t.Errorf("%d attempts while the queue is held, want 1", got)
		}
		pass(2 * time.Second)
		d.wantCounts(map[domain.Event]int{domain.EventLimited: 1, domain.EventCompleted: 4})
	})
}

type textError struct{}

func (textError) Error() string { panic("no text") }

type sortingError struct{ text string }

func (e sortingError) Error() string { return e.text }
func (sortingError) Is(error) bool   { panic("is nothing") }

type textless struct{}

func (textless) String() string { panic("no text") }

func TestHandlerThatBreaksFailsItsJobAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler runner.HandlerFunc
		reason  string
		stack   bool
	}{
		"panic":     {func(context.Context, *domain.Job) ([]byte, error) { panic("boom") }, "panic: boom", true},
		"panic nil": {func(context.Context, *domain.Job) ([]byte, error) { panic(nil) }, "panic: panic called with nil argument", true},
		"nil map": {func(context.Context, *domain.Job) ([]byte, error) {
			var m map[string]int
			m["a"] = 1 //nolint:staticcheck // the point
			return nil, nil
		}, "panic: assignment to entry in nil map", true},
		"goexit": {func(context.Context, *domain.Job) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		}, "handler ended its goroutine", false},
		"panic in Error":  {func(context.Context, *domain.Job) ([]byte, error) { return nil, textError{} }, "PANIC=Error method: no text", false},
		"panic in Is":     {func(context.Context, *domain.Job) ([]byte, error) { return nil, sortingError{"x"} }, "panic: is nothing", true},
		"panic in String": {func(context.Context, *domain.Job) ([]byte, error) { panic(textless{}) }, "PANIC=String method: no text", true},
		"text that no store takes": {func(context.Context, *domain.Job) ([]byte, error) {
			return nil, errors.New("a\x00b\xff" + strings.Repeat("x", 1<<20))
		}, "abxxx", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := open(t, handlers{"send": route(c.handler), "fine": returns(nil)}, nil)
			broken := d.put("send", 20, domain.JobOptions{})
			fine := d.put("fine", 20, domain.JobOptions{})
			pass(time.Second)
			for i, id := range broken {
				view := d.wantState(id, domain.StateFailed)
				if !strings.Contains(view.Reason, c.reason) || len(view.Reason) > domain.MaxReason {
					t.Errorf("%s: reason = %q, want %q", name, view.Reason, c.reason)
				}
				if got := strings.Contains(view.Stack, "worker_test.go"); got != c.stack || len(view.Stack) > domain.MaxStack {
					t.Errorf("%s: stack = %q, want one: %t", name, view.Stack, c.stack)
				}
				d.wantState(fine[i], domain.StateCompleted)
			}
			if health := d.runner.Health().Queues[0]; health.Active != 0 || health.Unsettled != 0 {
				t.Errorf("%s: health = %+v, want it idle", name, health)
			}
		})
	}
}

func TestSlotsSurviveEveryEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		d := open(t, handlers{
			"exit":  route(func(context.Context, *domain.Job) ([]byte, error) { runtime.Goexit(); return nil, nil }),
			"panic": route(func(context.Context, *domain.Job) ([]byte, error) { panic("boom") }),
			"skip":  returns(domain.Skip("")),
			"slow": route(func(context.Context, *domain.Job) ([]byte, error) {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
				return nil, nil
			}),
		}, nil)
		for range 30 {
			for _, name := range []string{"exit", "panic", "skip", "unknown"} {
				d.put(name, 1, domain.JobOptions{})
			}
		}
		pass(time.Second)
		began := time.Now()
		d.put("slow", 40, domain.JobOptions{})
		for d.runner.Counts()[domain.EventCompleted] < 40 {
			pass(100 * time.Millisecond)
		}
		if took := time.Since(began); most.Load() != 4 || took > 11*time.Second {
			t.Errorf("%d jobs at a time, done after %s, want 4 and 10s", most.Load(), took)
		}
	})
}

func TestAttemptsOfOneJobNeverOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		under := map[domain.JobID]bool{}
		handler := route(func(_ context.Context, job *domain.Job) ([]byte, error) {
			mu.Lock()
			if under[job.ID] {
				t.Errorf("job %s is worked twice at a time", job.ID)
			}
			under[job.ID] = true
			mu.Unlock()
			time.Sleep(3 * time.Second)
			mu.Lock()
			under[job.ID] = false
			mu.Unlock()
			return nil, errBoom
		})
		handler.Timeout = time.Second
		d := open(t, handlers{"send": handler}, nil)
		ids := d.put("send", 20, domain.JobOptions{Attempts: 4})
		pass(time.Minute * 2)
		for _, id := range ids {
			if view := d.wantState(id, domain.StateFailed); view.Job.AttemptsMade != 4 {
				t.Errorf("job %s: %d attempts, want 4", id, view.Job.AttemptsMade)
			}
		}
	})
}

func TestPayloadThatDoesNotDecodeIsTriedOnceAndNotShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const canary = "hunter2"
		d := open(t, handlers{"send": {Handler: runner.Handle(func(context.Context, runner.Job[letter]) (any, error) { return true, nil })}}, nil)
		bomb := strings.Repeat("[", 500_000)
		for _, payload := range []string{`{"Count":"hunter2"}`, `{"At":"hunter2"}`, `hunter2`, bomb} {
			id := d.enqueue(domain.NewJob{Queue: mail, Name: "send", Data: []byte(payload), Options: domain.JobOptions{Attempts: 9}})[0]
			pass(time.Second)
			view := d.wantState(id, domain.StateFailed)
			if view.Job.AttemptsStarted != 1 || view.Job.AttemptsMade != 1 {
				t.Errorf("%d attempts, want 1", view.Job.AttemptsStarted)
			}
			if strings.Contains(view.Reason+view.Stack+d.log.String()+fmt.Sprint(d.records()), canary) {
				t.Errorf("the payload shows in reason %q or log %s", view.Reason, d.log)
			}
		}
		d.wantCounts(map[domain.Event]int{domain.EventFailed: 4})
	})
}

func TestResultThatCannotBeKeptIsDroppedNotTheWork(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]any{"too large": strings.Repeat("x", 1001), "no JSON": func() {}, "panic": hostile{}} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int32
			d := open(t, handlers{"send": {Handler: runner.Handle(func(context.Context, runner.Job[letter]) (any, error) {
				calls.Add(1)
				return result, nil
			})}}, func(d *desk) { d.config.MaxPayload = 1000 })
			id := d.put("send", 1, domain.JobOptions{Attempts: 9})[0]
			pass(time.Minute)
			if view := d.wantState(id, domain.StateCompleted); len(view.Result) > 0 || calls.Load() != 1 {
				t.Errorf("%s: result = %s after %d calls, want none after 1", name, view.Result, calls.Load())
			}
			d.wantCounts(map[domain.Event]int{domain.EventDropped: 1})
			if records := d.records(domain.EventDropped); len(records) != 1 || records[0].Reason == "" {
				t.Errorf("%s: records = %v, want one with the reason", name, records)
			}
		})
	}
}

func TestUnknownNamesAreParkedLongerEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil), "print": returns(nil)}, nil)
		id := d.put("fax", 1, domain.JobOptions{})[0]
		for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
			synctest.Wait()
			view := d.wantState(id, domain.StateParked)
			if got := time.Until(view.DueAt); got != want || view.Job.AttemptsMade != 0 {
				t.Errorf("due in %s after %d attempts, want %s after none", got, view.Job.AttemptsMade, want)
			}
			time.Sleep(want)
		}
		pass(time.Second)
		d.wantCounts(map[domain.Event]int{domain.EventParked: 8})
		want := `no handler for job name "fax" on queue mail; handlers: print, send`
		if lines := d.log.with("job parked"); len(lines) != 8 || lines[0].attrs["reason"] != want {
			t.Errorf("log = %v, want 8 lines with reason %s", lines, want)
		}
	})
}

func TestUnknownNamesFailIfThatIsThePolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		many := handlers{}
		for i := range 12 {
			many[fmt.Sprintf("h%02d", i)] = returns(nil)
		}
		d := open(t, many, func(d *desk) { d.config.Unknown = runner.UnknownFail })
		id := d.put("fax", 1, domain.JobOptions{Attempts: 5})[0]
		pass(time.Second)
		view := d.wantState(id, domain.StateFailed)
		if want := "handlers: h00, h01, h02, h03, h04, h05, h06, h07, h08, h09, …"; !strings.HasSuffix(view.Reason, want) {
			t.Errorf("reason = %q, want it to end in %q", view.Reason, want)
		}
		d.wantCounts(map[domain.Event]int{domain.EventFailed: 1})
	})
}

func deafHandler(release <-chan struct{}) { <-release }

func TestHandlerThatIgnoresItsEndIsReportedOnceAndHoldsItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := route(func(context.Context, *domain.Job) ([]byte, error) {
			deafHandler(release)
			return nil, nil
		})
		deaf.Timeout = time.Second
		d := open(t, handlers{"deaf": deaf, "send": returns(nil)}, func(d *desk) { d.concurrency = 1 })
		id := d.put("deaf", 1, domain.JobOptions{})[0]
		d.put("send", 1, domain.JobOptions{})
		pass(time.Minute)
		d.wantCounts(map[domain.Event]int{domain.EventStuck: 1})
		lines := d.log.with("ignores the end")
		if len(lines) != 1 || !strings.Contains(lines[0].attrs["stack"], "deafHandler") || lines[0].level != slog.LevelError {
			t.Errorf("log = %v, want one error with the stack of deafHandler", lines)
		}
		health := d.runner.Health()
		if queue := health.Queues[0]; queue.Stuck != 1 || queue.Active != 1 || len(health.Problems) != 1 {
			t.Errorf("Health() = %+v, want one stuck handler as a problem", health)
		}
		close(release)
		pass(time.Second)
		d.wantState(id, domain.StateFailed)
		d.wantCounts(map[domain.Event]int{domain.EventStuck: 1, domain.EventLate: 1, domain.EventFailed: 1, domain.EventCompleted: 1})
	})
}

func TestStackIsFoundByLabels(t *testing.T) {
	t.Parallel()
	if stack := runner.StackOf(map[string]string{"queue": "mail", "job": "nobody works this"}); stack != "" {
		t.Errorf("stack = %s, want none", stack)
	}
}

func TestJobsThatFinishWhileOthersAreSettledGoIntoTheNextSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil)}, nil)
		release := d.faults.Hold(porttest.CallSettle)
		d.put("send", 1, domain.JobOptions{})
		pass(time.Second)
		if calls := d.faults.Calls(porttest.CallSettle); calls != 1 {
			t.Errorf("%d Settle calls, want a single job to be settled at once", calls)
		}
		d.put("send", 3, domain.JobOptions{})
		pass(time.Second)
		release()
		pass(time.Second)
		if calls := d.faults.Calls(porttest.CallSettle); calls != 2 {
			t.Errorf("%d Settle calls, want 3 jobs to share the second", calls)
		}
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 4})
	})
}

func TestSettleIsRepeatedUntilItIsAnsweredAndLeasesLastMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		d := open(t, handlers{"send": route(func(context.Context, *domain.Job) ([]byte, error) {
			calls.Add(1)
			return nil, nil
		})}, nil)
		d.faults.Fail(porttest.CallSettle, 100, errDown)
		ids := d.put("send", 4, domain.JobOptions{})
		// Longer than several leases: others must not take the jobs over.
		for range 180 {
			pass(time.Second)
			if _, err := d.recoverAll(); err != nil {
				t.Fatal(err)
			}
		}
		for d.faults.Pending(porttest.CallSettle) > 0 {
			pass(time.Second)
		}
		pass(5 * time.Second)
		for _, id := range ids {
			d.wantState(id, domain.StateCompleted)
		}
		if calls.Load() != 4 {
			t.Errorf("%d attempts, want 4: the leases were lost", calls.Load())
		}
		d.wantCounts(map[domain.Event]int{domain.EventCompleted: 4})
		d.wantCalm("outcomes cannot be written")
	})
}

// recoverAll does what another worker on the queue does all the time.
func (d *desk) recoverAll() ([]domain.Recovered, error) {
	other, err := d.backend.OpenConsumer(consumerOptions())
	if err != nil {
		return nil, err
	}
	return other.Recover(context.Background())
}

func consumerOptions() ports.ConsumerOptions {
	return ports.ConsumerOptions{Queue: mail, Worker: "w2", Lease: time.Second}
}

func TestOutageOfReserveIsPacedToldSeldomAndSurvived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": returns(nil)}, func(d *desk) {
			d.faults.Fail(porttest.CallReserve, 40, errDown)
			d.faults.Fail(porttest.CallRecover, 4, errDown)
		})
		id := d.put("send", 1, domain.JobOptions{})[0]
		pass(10 * time.Second)
		if calls := d.faults.Calls(porttest.CallReserve); calls < 5 || calls > 12 {
			t.Errorf("%d Reserve calls within 10s of outage, want about 8", calls)
		}
		pass(2 * time.Minute)
		d.wantState(id, domain.StateCompleted)
		d.wantCalm("queue cannot be read")
		d.wantCalm("leases cannot be kept")
	})
}

func TestFailingRenewalsAndRecoveriesAreToldOfTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, handlers{"send": lasting(3 * time.Second)}, func(d *desk) {
			d.config.Timing.JobLease, d.config.Timing.Recover = 1500*time.Millisecond, 700*time.Millisecond
			d.faults.Fail(porttest.CallExtend, 10, errDown)
			d.faults.Fail(porttest.CallRecover, 10, errDown)
		})
		d.put("send", 1, domain.JobOptions{})
		pass(10 * time.Second)
		d.wantCalm("leases cannot be kept")
	})
}

// wantCalm checks that a message comes, and at most once a second.
func (d *desk) wantCalm(message string) {
	d.t.Helper()
	lines := d.log.with(message)
	if len(lines) == 0 {
		d.t.Errorf("nothing is logged about %q", message)
	}
	for i := 1; i < len(lines); i++ {
		if gap := lines[i].at.Sub(lines[i-1].at); gap < time.Second {
			d.t.Errorf("%q is logged twice within %s", message, gap)
		}
	}
}

func TestCrashesOfOtherWorkersAreRecovered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := prepare(t, handlers{"send": returns(nil)}, nil)
		ids := d.put("send", 2, domain.JobOptions{})
		dead, err := d.backend.OpenConsumer(consumerOptions())
		if err != nil {
			t.Fatal(err)
		}
		// The first job crashes once too often under workers that die, the
		// second once.
		for range domain.MaxCrashes {
			if _, err := dead.Reserve(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if _, err := dead.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := dead.Reserve(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		d.start()
		pass(time.Second)
		d.wantState(ids[0], domain.StateFailed)
		d.wantState(ids[1], domain.StateCompleted)
		d.wantCounts(map[domain.Event]int{domain.EventQuarantined: 1, domain.EventRequeued: 1, domain.EventCompleted: 1})
	})
}

func TestEveryLogLineHasItsCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deaf := until(make(chan error, 100))
		deaf.Timeout = time.Second
		d := open(t, handlers{
			"fine": returns(nil), "fail": returns(errBoom), "snooze": returns(domain.Snooze(time.Hour)), "skip": returns(domain.Skip("")), "slow": deaf,
		}, nil)
		for _, name := range []string{"fine", "fail", "snooze", "skip", "slow", "unknown"} {
			d.put(name, 7, domain.JobOptions{Attempts: 2})
		}
		pass(10 * time.Second)
		var counted, total int
		for _, n := range d.runner.Counts() {
			counted += n
		}
		for _, line := range d.log.lines {
			if line.attrs["job_id"] != "" {
				total++
			}
		}
		if records := len(d.records()); total != counted || records != counted || counted == 0 {
			t.Errorf("%d log lines, %d counted, %d records, want them equal", total, counted, records)
		}
		if n := len(d.log.with("job completed")); n != 7 {
			t.Errorf("%d jobs completed in the log, want 7", n)
		}
	})
}
