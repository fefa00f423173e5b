package takttest_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
)

// chatty is a job that ticks each second and logs a line each time.
func chatty() app.Option {
	return app.Feature("chatty", func(log *slog.Logger) app.Contribution {
		said := 0
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("chatty", func(ctx context.Context, _ app.Run) (any, error) {
				said++
				log.WarnContext(ctx, "tick", "number", said)
				return nil, nil
			}, app.Every(time.Second)),
		}}
	})
}

// fake runs a test in a bubble and returns what it reported.
func fake(t *testing.T, test func(t testing.TB)) (reported, logged string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeT{TB: t}
		reported, logged = f.run(test), f.output.String()
	})
	return reported, logged
}

func wantText(t *testing.T, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s was\n%s\nwant it to hold\n%s", what, got, want)
		}
	}
}

func TestTheHistoryHoldsMoreThanAWorkerRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.StartWith(t, takttest.Config{Level: slog.LevelError}, chatty())
		w.Advance(time.Hour) // 10,800 decisions
		w.WantRuns("chatty", domain.EventCompleted, 60*60)
	})
}

func TestAHistoryThatForgotIsNotTrusted(t *testing.T) {
	small := takttest.Config{Settings: app.Settings{HistorySize: 33}}
	const forgot = "more than 33 records were made, and earlier ones are forgotten: raise Settings.HistorySize"
	// Each tick is claimed, started and completed; three more records are of the
	// worker's start, of the job's registration, and of that of all jobs.
	got, _ := fake(t, func(t testing.TB) {
		w := takttest.StartWith(t, small, chatty())
		w.Advance(10*time.Second - time.Millisecond)
		w.WantRuns("chatty", domain.EventCompleted, 10)
	})
	if got != "" {
		t.Errorf("with a history that is just full, reported was %q, want nothing", got)
	}
	got, _ = fake(t, func(t testing.TB) {
		w := takttest.StartWith(t, small, chatty())
		w.Advance(time.Minute)
		// As many as the history still knows.
		w.WantRuns("chatty", domain.EventCompleted, 10)
	})
	wantText(t, "reported", got, "runs of chatty were completed at least ", "how often cannot be told: "+forgot)
	got, _ = fake(t, func(t testing.TB) {
		w := takttest.StartWith(t, small, chatty())
		w.Advance(time.Minute)
		w.Records("chatty")
	})
	wantText(t, "reported", got, `Records("chatty"): `+forgot)
}

func TestDecisionsThatTheWorkerCouldNotKeepAreReported(t *testing.T) {
	// What the worker says when too much happens at once, which no test can make happen on every machine.
	loses := app.Feature("loses", func(log *slog.Logger) app.Contribution {
		return app.Contribution{Jobs: []app.ScheduledJob{
			app.Schedule("loses", func(ctx context.Context, _ app.Run) (any, error) {
				log.With("a", 1).WithGroup("g").WarnContext(ctx, "run records not stored", "waiting", 5, "shed", 7, "err", nil)
				return nil, nil
			}),
		}}
	})
	got, logged := fake(t, func(t testing.TB) {
		w := takttest.StartWith(t, takttest.Config{Level: slog.LevelError}, loses)
		w.Trigger("loses")
		w.WantRuns("loses", domain.EventCompleted, 1)
	})
	wantText(t, "reported", got, "runs of loses were completed at least 1 times, want 1; how often cannot be told: 7 decisions were made too fast to be kept")
	if logged != "" {
		t.Errorf("logged was %q, want nothing below the level", logged)
	}
}

func TestFailuresAreShort(t *testing.T) {
	got, logged := fake(t, func(t testing.TB) {
		w := takttest.Start(t, chatty())
		w.Advance(10 * time.Minute)
		w.WantRuns("chatty", domain.EventCompleted, 1)
	})
	wantText(t, "reported", got, "runs of chatty were completed 600 times, want 1", "1750 earlier decisions, left out here")
	if lines := strings.Count(got, "\n"); lines != 52 {
		t.Errorf("%d lines follow the first, want 52: %s", lines, got)
	}
	wantText(t, "logged", logged, "msg=tick number=600\n")
	lines := strings.Count(logged, "\n")
	if testing.Verbose() {
		wantText(t, "logged", logged, "msg=tick number=1\n")
		return
	}
	if lines != 201 || !strings.Contains(logged, " earlier lines of the log are left out; go test -v prints all\n") {
		t.Errorf("%d lines were logged, want 200 and one that says how many are left out:\n%s", lines, logged)
	}
}

func TestTheLogOfATestThatPassesIsSilent(t *testing.T) {
	if testing.Verbose() {
		t.Skip("with -v all is logged")
	}
	_, logged := fake(t, func(t testing.TB) { takttest.Start(t, chatty()).Advance(time.Minute) })
	if logged != "" {
		t.Errorf("logged was\n%s\nwant nothing", logged)
	}
}

func TestTheListOfAQueueIsShort(t *testing.T) {
	got, _ := fake(t, func(t testing.TB) {
		w := takttest.Start(t, shop())
		for i := range 70 {
			w.Enqueue("orders", "pack", order{Number: i})
		}
		w.WantCompleted("orders", "pack", 69)
	})
	wantText(t, "reported", got, "70 jobs pack on queue orders are completed, want 69\non the queue are:\n", "\n  and 20 more")
}
