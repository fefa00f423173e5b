package takttest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"
)

// packs is a handler that writes about its job.
func packs(ctx context.Context, job app.Job[order]) (any, error) {
	return nil, errors.Join(
		app.Progress(ctx, 50), app.LogLine(ctx, "half way"), app.Progress(ctx, 100), app.LogLine(ctx, "done"),
		app.UpdateData(ctx, order{Number: job.Data.Number + 1}),
	)
}

func TestNotesOfAHandlerCalledDirectlyAreKept(t *testing.T) {
	ctx, notes := takttest.Handling(t.Context())
	if notes.Progress() != "" || notes.Data() != "" || notes.Log() != nil {
		t.Errorf("notes before = %s, %s, %q, want none", notes.Progress(), notes.Data(), notes.Log())
	}
	if _, err := packs(ctx, app.Job[order]{Data: order{Number: 7}}); err != nil {
		t.Fatalf("packs = %v, want none", err)
	}
	if notes.Progress() != "100" || notes.Data() != `{"number":8}` || !slices.Equal(notes.Log(), []string{"half way", "done"}) {
		t.Errorf("notes = %s, %s, %q, want what was written last, and both lines", notes.Progress(), notes.Data(), notes.Log())
	}
}

func TestNotesAfterTheEndOfTheContextAreRefused(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	ctx, notes := takttest.Handling(ctx)
	cancel(domain.ErrTimeout)
	if err := app.Progress(ctx, 1); !errors.Is(err, domain.ErrTimeout) || notes.Progress() != "" {
		t.Errorf("Progress = %v, %q written, want ErrTimeout and nothing", err, notes.Progress())
	}
}

func TestJobsTellWhatTheirHandlerWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, app.Feature("shop", func() app.Contribution {
			return app.Contribution{Queues: []string{"orders"}, Handlers: []app.Handler{app.Handle("orders", "pack", packs)}}
		}))
		w.Enqueue("orders", "pack", order{Number: 7})
		w.WantCompleted("orders", "pack", 1)
		job := w.Jobs("orders", domain.StateCompleted)[0]
		if string(job.Progress) != "100" || string(job.Job.Data) != `{"number":8}` || len(job.Log) != 2 {
			t.Errorf("progress %s, data %s, log %q, want what was written last, and two lines", job.Progress, job.Job.Data, job.Log)
		}
	})
}

func TestTheFunctionOfAScheduledJobHasNoJobToWriteAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got error
		w := takttest.Start(t, app.Feature("shop", func() app.Contribution {
			return app.Contribution{Jobs: []app.ScheduledJob{app.Schedule("shop.nightly", func(ctx context.Context, _ app.Run) (any, error) {
				got = app.Progress(ctx, 1)
				return nil, nil
			})}}
		}))
		w.Trigger("shop.nightly")
		if got == nil {
			t.Error("Progress in the function of a scheduled job = nil, want an error")
		}
	})
}
