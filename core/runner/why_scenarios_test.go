package runner_test

import (
	"context"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/core/schedule"
)

// scenario plays something and says what is asked about it.
type scenario = func(*testing.T, *fleet) []history.Question

// scenarios are those that have a golden answer each.
func scenarios() map[string]scenario {
	return map[string]scenario{
		"ran":                  whyRan,
		"failed":               whyFailed,
		"timed_out":            whyTimedOut,
		"running":              whyRunning,
		"skipped_by_handler":   whySkippedByHandler,
		"overlap_skip":         whyOverlapSkip,
		"overlap_queue_one":    whyOverlapQueueOne,
		"overlap_cancel":       whyOverlapCancel,
		"overlap_completion":   whyOverlapCompletion,
		"jitter":               whyJitter,
		"paused":               whyPaused,
		"disabled":             whyDisabled,
		"superseded":           whySuperseded,
		"rolled_back":          whyRolledBack,
		"down_coalesced":       whyDownCoalesced,
		"down_skipped":         whyDownSkipped,
		"down_past_grace":      whyDownPastGrace,
		"down_over_cap":        whyDownOverCap,
		"down_long":            whyDownLong,
		"down_forgotten":       whyDownForgotten,
		"vanished":             whyVanished,
		"ledger_away":          whyLedgerAway,
		"not_planned":          whyNotPlanned,
		"manual":               whyManual,
		"not_due":              whyNotDue,
		"clocks_forward":       whyClocksForward,
		"clocks_back":          whyClocksBack,
		"claimed_elsewhere":    whyClaimedElsewhere,
		"claimed_unseen":       whyClaimedUnseen,
		"not_kept":             whyNotKept,
		"backfilled":           whyBackfilled,
		"unregistered":         whyUnregistered,
		"taken_over":           whyTakenOver,
		"lost":                 whyLost,
		"quarantined":          whyQuarantined,
		"released":             whyReleased,
		"queue_job_worked":     whyQueueJobWorked,
		"queue_job_unhandled":  whyQueueJobUnhandled,
		"queue_job_waited":     whyQueueJobWaited,
		"queue_job_crashed":    whyQueueJobCrashed,
		"queue_job_handedback": whyQueueJobHandedBack,
	}
}

func (f *fleet) asks(at ...time.Duration) (asked []history.Question) {
	for _, d := range at {
		asked = append(asked, f.ask(d))
	}
	return asked
}

// tensecondly is the job "report", due every ten seconds.
func tensecondly(t *testing.T, handler runFunc) runner.ScheduledJob {
	t.Helper()
	return tickJob(t, "report", 10*time.Second, handler)
}

func whyRan(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, takes(1500*time.Millisecond)))
	f.waitUntil(15 * time.Second)
	return f.asks(10 * time.Second)
}

func whyFailed(t *testing.T, f *fleet) []history.Question {
	job := tickJob(t, "report", time.Minute, fails("no paper"))
	job.Policy.Retries = domain.Retries{Count: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: 5 * time.Second}}
	f.start(t, "ann", job)
	f.waitUntil(90 * time.Second)
	return f.asks(time.Minute)
}

func whyTimedOut(t *testing.T, f *fleet) []history.Question {
	job := tickJob(t, "report", time.Minute, func(context.Context, domain.RunKey, int) ([]byte, error) {
		<-time.After(20 * time.Second)
		return nil, nil
	})
	job.Policy.Timeout, job.Policy.Retries = 5*time.Second, domain.Retries{Count: 1}
	f.start(t, "ann", job)
	f.waitUntil(110 * time.Second)
	return f.asks(time.Minute)
}

func whyRunning(t *testing.T, f *fleet) []history.Question {
	job := tensecondly(t, takes(time.Minute))
	job.Policy.Overlap = domain.OverlapQueueOne
	f.start(t, "ann", job)
	f.waitUntil(25 * time.Second)
	return f.asks(10*time.Second, 20*time.Second)
}

func whySkippedByHandler(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, func(context.Context, domain.RunKey, int) ([]byte, error) { return nil, domain.Skip("no new orders") }))
	f.waitUntil(15 * time.Second)
	return f.asks(10 * time.Second)
}

func whyOverlapSkip(t *testing.T, f *fleet) []history.Question {
	for _, name := range []string{"ann", "bob"} {
		f.start(t, name, tensecondly(t, takes(25*time.Second)))
	}
	f.waitUntil(45 * time.Second)
	return f.asks(20 * time.Second)
}

func whyOverlapQueueOne(t *testing.T, f *fleet) []history.Question {
	job := tensecondly(t, takes(25*time.Second))
	job.Policy.Overlap = domain.OverlapQueueOne
	f.start(t, "ann", job)
	f.waitUntil(61 * time.Second)
	return f.asks(20*time.Second, 30*time.Second)
}

func whyOverlapCancel(t *testing.T, f *fleet) []history.Question {
	job := tensecondly(t, takes(25*time.Second))
	job.Policy.Overlap = domain.OverlapCancelPrevious
	f.start(t, "ann", job)
	f.waitUntil(25 * time.Second)
	return f.asks(10 * time.Second)
}

func whyOverlapCompletion(t *testing.T, f *fleet) []history.Question {
	job := tensecondly(t, makes(`{"n":1}`))
	job.Policy.Scope = domain.ScopeCompletion
	job.Target = domain.Target{Queue: "mail", JobName: "send"}
	f.start(t, "ann", job)
	f.waitUntil(25 * time.Second)
	return f.asks(20 * time.Second)
}

func whyJitter(t *testing.T, f *fleet) []history.Question {
	job := tickJob(t, "report", 5*time.Second, takes(0))
	job.Policy.MaxJitter = time.Minute
	f.start(t, "ann", job)
	f.waitUntil(100 * time.Second)
	return f.asks(5*time.Second, 10*time.Second, 15*time.Second, 20*time.Second)
}

func whyPaused(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(12200 * time.Millisecond)
	if err := f.ledger.PauseJob(t.Context(), "report"); err != nil {
		t.Fatal(err)
	}
	f.waitUntil(25200 * time.Millisecond)
	if err := f.ledger.ResumeJob(t.Context(), "report"); err != nil {
		t.Fatal(err)
	}
	f.waitUntil(35200 * time.Millisecond)
	if err := f.ledger.PauseJob(t.Context(), "report"); err != nil {
		t.Fatal(err)
	}
	f.waitUntil(36200 * time.Millisecond)
	return f.asks(20*time.Second, 30*time.Second, 40*time.Second)
}

func whyDisabled(t *testing.T, f *fleet) []history.Question {
	job := tensecondly(t, takes(0))
	job.Disabled = true
	f.start(t, "ann", job)
	f.waitUntil(25 * time.Second)
	return f.asks(10*time.Second, time.Minute)
}

// newer returns the job "report" with another schedule.
func newer(t *testing.T, interval time.Duration) runner.ScheduledJob {
	t.Helper()
	job := tickJob(t, "report", interval, takes(0))
	job.Fingerprint = "v2"
	return job
}

func whySuperseded(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(25200 * time.Millisecond)
	f.start(t, "bob", newer(t, 12*time.Second))
	f.waitUntil(50200 * time.Millisecond)
	asked := f.asks(12*time.Second, 20*time.Second, 30*time.Second, 36*time.Second, 36*time.Second)
	asked[4].Replica = "ann"
	return asked
}

func whyRolledBack(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(25200 * time.Millisecond)
	bob := f.start(t, "bob", newer(t, 12*time.Second))
	f.waitUntil(40400 * time.Millisecond)
	bob.stop()
	f.waitUntil(100200 * time.Millisecond)
	return f.asks(80*time.Second, 84*time.Second)
}

func whyNotPlanned(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(25 * time.Second)
	return f.asks(12 * time.Second)
}

func whyManual(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", manualJob("report", takes(0)))
	f.waitUntil(25 * time.Second)
	return f.asks(10 * time.Second)
}

func whyNotDue(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(25 * time.Second)
	return f.asks(50 * time.Second)
}

// cronAt starts the job "report" by the cron expression in Berlin at the time
// given.
func (f *fleet) cronAt(t *testing.T, expression string, at time.Time) *time.Location {
	t.Helper()
	<-time.After(time.Until(at))
	cron, err := schedule.ParseCron(expression, "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f.start(t, "ann", runner.ScheduledJob{Name: "report", Schedule: cron, Handler: takes(0)})
	<-time.After(6 * time.Hour)
	return cron.Location()
}

func whyClocksForward(t *testing.T, f *fleet) []history.Question {
	berlin := f.cronAt(t, "30 2 * * *", time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC))
	cron, _ := schedule.ParseCron("30 2 * * *", "Europe/Berlin")
	moment, err := history.ParseMoment("2026-03-29T02:30", berlin)
	if err != nil {
		t.Fatal(err)
	}
	at, err := moment.Tick(cron)
	if err != nil {
		t.Fatalf("Tick = %v, want the moved tick", err)
	}
	return []history.Question{{Job: "report", At: at, Zone: berlin}}
}

func whyClocksBack(t *testing.T, f *fleet) []history.Question {
	berlin := f.cronAt(t, "30 2 * * *", time.Date(2026, 10, 24, 23, 0, 0, 0, time.UTC))
	return []history.Question{
		{Job: "report", At: time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), Zone: berlin},
		{Job: "report", At: time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC), Zone: berlin},
	}
}

// whyClaimedElsewhere asks for the view of the replica that did not claim the
// tick: first of the fleet's records, then of its own alone.
func whyClaimedElsewhere(t *testing.T, f *fleet) []history.Question {
	claims, other := "ann", "bob"
	if domain.Hash("report", claims) < domain.Hash("report", other) {
		claims, other = other, claims
	}
	f.start(t, claims, tensecondly(t, takes(0)))
	f.start(t, other, tensecondly(t, takes(0)))
	f.waitUntil(35 * time.Second)
	asked := f.asks(30 * time.Second)
	asked[0].Replica = other
	return asked
}

func whyClaimedUnseen(t *testing.T, f *fleet) []history.Question {
	claims, other := "ann", "bob"
	if domain.Hash("report", claims) < domain.Hash("report", other) {
		claims, other = other, claims
	}
	f.start(t, claims, tensecondly(t, takes(0)))
	r := f.start(t, other, tensecondly(t, takes(0)))
	f.waitUntil(35 * time.Second)
	settle()
	f.books = []*recordBook{r.book}
	asked := f.asks(30 * time.Second)
	asked[0].Known = history.Known{
		Registered: true, Schedule: every(t, 10*time.Second), Replica: other, Shared: true, Next: r.Jobs()["report"].Next,
	}
	return asked
}

func whyNotKept(t *testing.T, f *fleet) []history.Question {
	f.waitUntil(95 * time.Second)
	f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(105 * time.Second)
	asked := f.asks(30 * time.Second)
	asked[0].Known = history.Known{Registered: true, Schedule: every(t, 10*time.Second)}
	return asked
}

func whyBackfilled(t *testing.T, f *fleet) []history.Question {
	r := f.start(t, "ann", tensecondly(t, fails("no paper")))
	f.waitUntil(25200 * time.Millisecond)
	if _, err := r.Backfill(t.Context(), "report", "again", f.origin.Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	return f.asks(10 * time.Second)
}

func whyUnregistered(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tickJob(t, "other", 10*time.Second, takes(0)))
	f.waitUntil(25 * time.Second)
	f.start(t, "bob", tensecondly(t, takes(0)))
	f.waitUntil(35 * time.Second)
	asked := f.asks(20 * time.Second)
	asked[0].Known = history.Known{Registered: true, Schedule: every(t, 10*time.Second)}
	return asked
}
