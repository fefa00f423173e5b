package greetings_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/app/takttest"
	"github.com/taktwork/takt/core/domain"

	"example.com/consumer/greetings"
)

func TestTheWorldIsGreetedEachMorning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, greetings.Module())
		w.Advance(3 * 24 * time.Hour)
		w.WantRuns("greetings.morning", domain.EventFired, 4) // Once at the start, then each morning.
		w.WantCompleted("greetings", "greet", 4)
		for _, job := range w.Jobs("greetings", domain.StateCompleted) {
			if got, want := string(job.Result), `{"text":"Hello, world!"}`; got != want {
				t.Errorf("result = %s, want %s", got, want)
			}
			if job.Job.AttemptsStarted != 2 {
				t.Errorf("%d attempts, want 2: the first one fails", job.Job.AttemptsStarted)
			}
		}
	})
}

func TestAnyoneCanBeGreeted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := takttest.Start(t, greetings.Module())
		w.Enqueue("greetings", "greet", greetings.Greeting{Name: "Ada"}, domain.JobOptions{Attempts: 2})
		w.Advance(time.Second)
		w.WantCompleted("greetings", "greet", 2)
		if got, want := string(w.Jobs("greetings", domain.StateCompleted)[1].Result), `{"text":"Hello, Ada!"}`; got != want {
			t.Errorf("result = %s, want %s", got, want)
		}
	})
}
