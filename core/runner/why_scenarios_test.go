package runner_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
	"github.com/taktwork/takt/core/ports"
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

// outage lets no replica live from 15 s to the given time.
func (f *fleet) outage(t *testing.T, back time.Duration, job func() runner.ScheduledJob) {
	t.Helper()
	ann := f.start(t, "ann", job())
	f.waitUntil(15300 * time.Millisecond)
	ann.stop()
	f.waitUntil(back)
	f.start(t, "bob", job())
	<-time.After(5 * time.Second)
}

func whyDownCoalesced(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 65*time.Second, func() runner.ScheduledJob { return tickJob(t, "report", 20*time.Second, takes(0)) })
	return f.asks(20*time.Second, 60*time.Second)
}

func whyDownSkipped(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 55*time.Second, func() runner.ScheduledJob {
		job := tickJob(t, "report", 20*time.Second, takes(0))
		job.Misfire.Policy = schedule.MisfireSkip
		return job
	})
	return f.asks(20 * time.Second)
}

func whyDownPastGrace(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 95*time.Second, func() runner.ScheduledJob {
		job := tickJob(t, "report", 50*time.Second, takes(0))
		job.Misfire.Grace = 20 * time.Second
		return job
	})
	return f.asks(50 * time.Second)
}

func whyDownOverCap(t *testing.T, f *fleet) []history.Question {
	f.outage(t, 75*time.Second, func() runner.ScheduledJob {
		job := tickJob(t, "report", 20*time.Second, takes(0))
		job.Policy.Overlap = domain.OverlapAllow
		job.Misfire = schedule.Misfire{Policy: schedule.MisfireAll, Cap: 2}
		return job
	})
	return f.asks(20*time.Second, 40*time.Second)
}

func whyDownLong(t *testing.T, f *fleet) []history.Question {
	f.outage(t, time.Hour, func() runner.ScheduledJob { return tickJob(t, "report", time.Second, takes(0)) })
	return f.asks(30*time.Minute, time.Hour-10*time.Second)
}

// whyDownForgotten has a ledger that ends with its process.
func whyDownForgotten(t *testing.T, f *fleet) []history.Question {
	ann := f.start(t, "ann", tensecondly(t, takes(0)))
	f.waitUntil(15 * time.Second)
	ann.stop()
	f.waitUntil(65 * time.Second)
	other := newFleet(t)
	bob := other.start(t, "bob", tensecondly(t, takes(0)))
	f.books = append(f.books, bob.book)
	f.waitUntil(75 * time.Second)
	return f.asks(30 * time.Second)
}

// vanish lets the replica die without a trace.
func (f *fleet) vanish(r *reachableLedger, name string) {
	r.cut()
	if f.vanished == nil {
		f.vanished = map[string]time.Time{}
	}
	f.vanished[name] = time.Now()
}

// alone starts a replica that can be cut off from the fleet's ledger.
func (f *fleet) alone(t *testing.T, name string, jobs ...runner.ScheduledJob) *reachableLedger {
	t.Helper()
	ledger := &reachableLedger{Ledger: f.ledger.Ledger}
	f.replicaOn(t, name, ledger, jobs...).mustStart(t)
	return ledger
}

func whyVanished(t *testing.T, f *fleet) []history.Question {
	ann := f.alone(t, "ann", tickJob(t, "report", 50*time.Second, takes(time.Minute)))
	f.waitUntil(70 * time.Second)
	f.vanish(ann, "ann")
	f.waitUntil(170 * time.Second)
	return f.asks(50*time.Second, 100*time.Second)
}

func whyLedgerAway(t *testing.T, f *fleet) []history.Question {
	f.start(t, "ann", tickJob(t, "report", 40*time.Second, takes(0)))
	f.waitUntil(15 * time.Second)
	f.ledger.cut("claim")
	f.waitUntil(60 * time.Second)
	f.ledger.heal()
	f.waitUntil(70 * time.Second)
	f.ledger.cut("claim")
	f.waitUntil(90 * time.Second)
	return f.asks(40*time.Second, 80*time.Second)
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

func whyTakenOver(t *testing.T, f *fleet) []history.Question {
	ann := f.alone(t, "ann", tickJob(t, "report", time.Minute, takes(32*time.Second)))
	f.waitUntil(66200 * time.Millisecond)
	ann.cut()
	f.start(t, "bob", tickJob(t, "report", time.Minute, takes(20*time.Second)))
	f.waitUntil(115 * time.Second)
	return f.asks(time.Minute)
}

// crashTick makes a replica named "dead" claim the tick of a minute and die
// under its handler, n times.
func (f *fleet) crashTick(t *testing.T, n int) {
	t.Helper()
	reply, err := f.ledger.Sync(t.Context(), domain.SyncRequest{Replica: "dead", Definitions: []domain.Definition{{Job: "report", Fingerprint: "v1"}}})
	if err != nil {
		t.Fatal(err)
	}
	f.waitUntil(time.Minute)
	at := f.origin.Add(time.Minute)
	verdicts, err := f.ledger.Claim(t.Context(), []domain.Intent{{
		Run: domain.TickKey("report", at), Replica: "dead", Fingerprint: "v1", Slot: domain.SlotSkip, Lease: time.Second,
		Move: &domain.CursorMove{From: reply.Jobs[0].Cursor, To: at},
	}})
	if err != nil || verdicts[0].Kind != domain.Granted {
		t.Fatalf("Claim = %+v, %v, want a grant", verdicts, err)
	}
	<-time.After(time.Second)
	f.crashAgain(t, n-1)
}

func whyLost(t *testing.T, f *fleet) []history.Question {
	f.crashTick(t, 1)
	job := tickJob(t, "report", time.Minute, takes(0))
	job.Policy.OnAbandon = domain.AbandonLost
	f.start(t, "ann", job)
	f.waitUntil(70 * time.Second)
	return f.asks(time.Minute)
}

func whyQuarantined(t *testing.T, f *fleet) []history.Question {
	f.crashTick(t, 3)
	f.start(t, "ann", tickJob(t, "report", time.Minute, takes(0)))
	f.waitUntil(70 * time.Second)
	return f.asks(time.Minute)
}

func whyReleased(t *testing.T, f *fleet) []history.Question {
	ann := f.start(t, "ann", tickJob(t, "report", time.Minute, takes(30*time.Second)))
	f.waitUntil(65 * time.Second)
	ann.stop()
	settle()
	waits := f.ask(time.Minute)
	waits.Now = time.Now()
	told := tale{records: f.chronicle(), asked: []history.Question{waits}}
	if _, codes := told.answer(t, everyRecord); codes[0] != history.CodeReleased {
		t.Errorf("before another replica has it, the run is %s, want released", codes[0])
	}
	f.start(t, "bob", tickJob(t, "report", time.Minute, takes(5*time.Second)))
	f.waitUntil(100 * time.Second)
	return f.asks(time.Minute)
}

// toMail is the job "report", due every ten seconds, whose payload is how many
// seconds have passed.
func (f *fleet) toMail(t *testing.T, name string) runner.ScheduledJob {
	t.Helper()
	job := tensecondly(t, func(_ context.Context, run domain.RunKey, _ int) ([]byte, error) {
		return []byte(strconv.Itoa(int(run.Planned().Sub(f.origin).Seconds()))), nil
	})
	job.Target = domain.Target{Queue: "mail", JobName: name, Options: domain.JobOptions{
		Attempts: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Second},
	}}
	return job
}

// worker returns a runner of the queue "mail" alone.
func (f *fleet) worker(t *testing.T, name string, handler runner.HandlerFunc) *replica {
	t.Helper()
	f.routes = map[string]runner.Route{"send": {Handler: handler, Timeout: 3 * time.Second}}
	defer func() { f.routes = nil }()
	return f.start(t, name)
}

func whyQueueJobWorked(t *testing.T, f *fleet) []history.Question {
	snoozed := map[string]bool{}
	f.worker(t, "cid", func(ctx context.Context, job *domain.Job) ([]byte, error) {
		first := !snoozed[string(job.Data)]
		snoozed[string(job.Data)] = true
		switch string(job.Data) {
		case "10":
			return []byte(`"sent"`), nil
		case "20":
			return nil, errBoom
		case "30":
			if first {
				return nil, domain.Snooze(2 * time.Second)
			}
			return nil, domain.Skip("no address")
		case "40":
			if first {
				return nil, domain.RateLimit(2 * time.Second)
			}
			return make([]byte, 300<<10), nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(59 * time.Second)
	return f.asks(10*time.Second, 20*time.Second, 30*time.Second, 40*time.Second, 50*time.Second)
}

// parents is a queue that knows flows, as the one in memory does not: a job
// waits three seconds for its children.
type parents struct{ ports.Consumer }

func (p parents) Settle(ctx context.Context, settlements []domain.Settlement, limit int) (domain.SettleReply, error) {
	settlements = slices.Clone(settlements)
	for i := range settlements {
		if settlements[i].Outcome.Kind == domain.WaitingForChildren {
			settlements[i].Outcome = domain.Outcome{Kind: domain.Snoozed, After: 3 * time.Second}
		}
	}
	return p.Consumer.Settle(ctx, settlements, limit)
}

func (f *fleet) openConsumer(options ports.ConsumerOptions) (ports.Consumer, error) {
	consumer, err := f.queue.OpenConsumer(options)
	return parents{consumer}, err
}

func whyQueueJobWaited(t *testing.T, f *fleet) []history.Question {
	called := false
	f.worker(t, "cid", func(context.Context, *domain.Job) ([]byte, error) {
		if !called {
			called = true
			return nil, domain.WaitForChildren()
		}
		return []byte(`"sum"`), nil
	})
	f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(15 * time.Second)
	return f.asks(10 * time.Second)
}

func whyQueueJobUnhandled(t *testing.T, f *fleet) []history.Question {
	f.worker(t, "cid", func(context.Context, *domain.Job) ([]byte, error) { return nil, nil })
	f.start(t, "ann", f.toMail(t, "unheard"))
	f.waitUntil(15 * time.Second)
	return f.asks(10 * time.Second)
}

// die leases a job of the queue "mail" for a worker that dies under it.
func (f *fleet) die(t *testing.T, consumer ports.Consumer) {
	t.Helper()
	if leases, err := consumer.Reserve(t.Context(), 1); err != nil || len(leases) != 1 {
		t.Fatalf("Reserve = %+v, %v, want a job", leases, err)
	}
}

func whyQueueJobCrashed(t *testing.T, f *fleet) []history.Question {
	consumer, err := f.queue.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "dead", Lease: time.Second, Handles: []string{"send"}})
	if err != nil {
		t.Fatal(err)
	}
	ann := f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(11 * time.Second)
	ann.stop()
	for range 3 {
		f.die(t, consumer)
		<-time.After(2 * time.Second)
		bob := f.worker(t, "bob", func(ctx context.Context, _ *domain.Job) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		<-time.After(time.Second)
		bob.Stop(context.Background(), runner.StopBudget{Release: time.Second})
	}
	return f.asks(10 * time.Second)
}

func whyQueueJobHandedBack(t *testing.T, f *fleet) []history.Question {
	ann := f.start(t, "ann", f.toMail(t, "send"))
	f.waitUntil(11 * time.Second)
	ann.stop()
	bob := f.worker(t, "bob", func(context.Context, *domain.Job) ([]byte, error) {
		<-time.After(2 * time.Second)
		return nil, errBoom
	})
	<-time.After(time.Second)
	bob.Stop(context.Background(), runner.StopBudget{Release: time.Second})
	<-time.After(10 * time.Second)
	return f.asks(10 * time.Second)
}
