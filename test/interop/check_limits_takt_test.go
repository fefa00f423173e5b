package interop_test

import (
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// Limits that Takt sets are BullMQ's own, obeyed by both workers, and those of
// either side are read and taken back by the other.

// mostActive returns up to how many jobs were active at a time until so many
// are completed.
func (l *lab) mostActive(completed int) int64 {
	l.t.Helper()
	most := int64(0)
	await(l.t, "jobs to be done", func() bool {
		most = max(most, must(l.t, l.redis.LLen(l.t.Context(), key("active"))))
		return len(l.scores("completed")) >= completed
	})
	return most
}

func TestCheck53_AConcurrencyOfTaktsHoldsForBothWorkersTogether(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		const jobs = 24
		queue, records, takt := l.Queue("mail"), newRecords(t), l.producer()
		limit := func(n int) {
			t.Helper()
			if err := takt.LimitConcurrency(t.Context(), "mail", n); err != nil {
				t.Fatalf("LimitConcurrency(%d) = %v, want no error", n, err)
			}
		}
		limit(2)
		l.Worker("mail", node.Steps{"*": records.workingNode(15 * time.Millisecond)}, node.Opts{"concurrency": 5, "drainDelay": 0.05})
		l.work(work{handlers: handlers{"send": records.working(15 * time.Millisecond)}, concurrency: 5})
		for range jobs {
			queue.Add("send", node.Opts{})
		}
		if most := l.mostActive(jobs); most > 2 {
			t.Errorf("up to %d jobs were active, want 2", most)
		}
		if most := overlap(records.read(t, "start"), records.read(t, "end")); most > 2 {
			t.Errorf("up to %d handlers ran at a time, want 2", most)
		}

		// Changed while the workers run.
		limit(1)
		before := len(records.read(t, "end"))
		for range jobs / 2 {
			l.put("send", `{}`)
		}
		if most := l.mostActive(jobs + jobs/2); most > 1 {
			t.Errorf("up to %d jobs were active after the change, want 1", most)
		}
		if most := overlap(records.read(t, "start")[before:], records.read(t, "end")[before:]); most > 1 {
			t.Errorf("up to %d handlers ran at a time after the change, want 1", most)
		}
	})
}

// startRecords gives both workers jobs whose handlers only record their start.
func (l *lab) startRecords(limiter node.Opts, own redisqueue.RateLimit) {
	l.t.Helper()
	records := newRecords(l.t)
	l.Worker("mail", node.Steps{"*": {node.Record(records.path, "start")}}, limiter)
	l.work(work{handlers: handlers{"send": records.working(0)}, concurrency: 4, config: func(c *redisqueue.Config) {
		if own.Max > 0 {
			c.Limits = map[domain.QueueName]redisqueue.RateLimit{"mail": own}
		}
	}})
}

func TestCheck56_BothWorkersObeyARateOfTakts(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const jobs, limit = 9, 2
		window, queue := 400*time.Millisecond, l.Queue("mail")
		if err := l.producer().LimitRate(t.Context(), "mail", domain.Rate{Max: limit, Per: window}); err != nil {
			t.Fatal(err)
		}
		for range jobs {
			queue.Add("send", node.Opts{})
		}
		l.startRecords(node.Opts{}, redisqueue.RateLimit{})
		l.awaitCount("completed", jobs)
		wantWindows(t, l.fetchTimes(), limit, window)
	})
}

func TestCheck54_ALimitOfTaktsWorkerIsChangedWhileItRuns(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		const window = 300 * time.Millisecond
		backend := l.backend(func(c *redisqueue.Config) {
			c.Limits = map[domain.QueueName]redisqueue.RateLimit{"mail": {Max: 1, Per: time.Hour}}
		})
		l.Queue("mail")
		for range 5 {
			l.put("send", `{}`)
		}
		desk := l.deskOf(backend)
		desk.settle(desk.next(), domain.Outcome{Kind: domain.Completed})
		if limits, err := backend.Limits(t.Context(), "mail"); err != nil || limits.HeldFor == 0 {
			t.Errorf("Limits = %+v, %v, want the queue held: the window is used up", limits, err)
		}
		if err := backend.SetLimit("mail", redisqueue.RateLimit{Max: 3, Per: window}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			desk.settle(desk.next(), domain.Outcome{Kind: domain.Completed})
		}
		// The hour of the window goes on, for Node's worker as well.
		worker := l.Worker("mail", node.Steps{}, node.Opts{"limiter": node.Opts{"max": 3, "duration": window.Milliseconds()}})
		redistest.Pass(200 * time.Millisecond)
		if n := len(worker.All("active")); n > 0 {
			t.Errorf("node started %d jobs, want none: the window is used up", n)
		}
		worker.Close()
		if err := backend.SetLimit("mail", redisqueue.RateLimit{}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			desk.settle(desk.next(), domain.Outcome{Kind: domain.Completed})
		}
		l.awaitCount("completed", 5)
	})
}

func TestCheck55_BothWorkersObeyAHoldOfTakts(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue, takt := l.Queue("mail"), l.producer()
		for range 4 {
			queue.Add("send", node.Opts{})
		}
		const held = 500 * time.Millisecond
		began := time.Now()
		if err := takt.Hold(t.Context(), "mail", held); err != nil {
			t.Fatal(err)
		}
		l.startRecords(node.Opts{"limiter": node.Opts{"max": 100, "duration": 1000}}, redisqueue.RateLimit{})
		l.awaitCount("completed", 4)
		// Node takes the time before it sends the call.
		if first := time.UnixMilli(l.fetchTimes()[0]).Sub(began); first < held-25*time.Millisecond {
			t.Errorf("the first job started after %s, want none for %s", first, held)
		}
	})
}

// nodeLimits is what Node's getters say of the queue.
func nodeLimits(t *testing.T, queue *node.Queue) (limits domain.QueueLimits, full bool) {
	t.Helper()
	if n := node.Decode[*int](t, queue.Call("getGlobalConcurrency")); n != nil {
		limits.Concurrency = *n
	}
	type rate struct {
		Max      int   `json:"max"`
		Duration int64 `json:"duration"`
	}
	if r := node.Decode[*rate](t, queue.Call("getGlobalRateLimit")); r != nil {
		limits.Rate = domain.Rate{Max: r.Max, Per: time.Duration(r.Duration) * time.Millisecond}
	}
	limits.HeldFor = time.Duration(node.Decode[int64](t, queue.Call("getRateLimitTtl"))) * time.Millisecond
	limits.Active = node.Decode[map[string]int](t, queue.Call("getJobCounts", "active"))["active"]
	return limits, node.Decode[bool](t, queue.Call("isMaxed"))
}

// wantLimits checks what both sides say of the limits; a hold is wanted for up to
// so long.
func (l *lab) wantLimits(when string, queue *node.Queue, want domain.QueueLimits) {
	l.t.Helper()
	ours, err := l.producer().Limits(l.t.Context(), "mail")
	if err != nil {
		l.t.Fatal(err)
	}
	theirs, full := nodeLimits(l.t, queue)
	if full != ours.Full() {
		l.t.Errorf("%s: isMaxed = %t, Full = %t", when, full, ours.Full())
	}
	for side, got := range map[string]domain.QueueLimits{"takt": ours, "node": theirs} {
		if (got.HeldFor > 0) != (want.HeldFor > 0) || got.HeldFor > want.HeldFor {
			l.t.Errorf("%s: %s says the queue is held for %s, want up to %s", when, side, got.HeldFor, want.HeldFor)
		}
		if got.HeldFor = want.HeldFor; got != want {
			l.t.Errorf("%s: %s says %+v, want %+v", when, side, got, want)
		}
	}
}

func TestCheck53_LimitsAreReadSetAndTakenBackByBothSides(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, takt, ctx := l.Queue("mail"), l.producer(), t.Context()
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		l.wantLimits("at first", queue, domain.QueueLimits{})
		minute, hour := domain.Rate{Max: 5, Per: time.Minute}, domain.Rate{Max: 7, Per: time.Hour}

		do(takt.LimitConcurrency(ctx, "mail", 3))
		l.wantLimits("concurrency of takt's", queue, domain.QueueLimits{Concurrency: 3})
		queue.Call("setGlobalConcurrency", 1)
		desk := l.desk()
		l.put("send", `{}`)
		lease := desk.next()
		l.wantLimits("concurrency of node's, used up", queue, domain.QueueLimits{Concurrency: 1, Active: 1})
		desk.settle(lease, domain.Outcome{Kind: domain.Completed})
		do(takt.LimitConcurrency(ctx, "mail", 0))
		l.wantLimits("taken back by takt", queue, domain.QueueLimits{})
		do(takt.LimitConcurrency(ctx, "mail", 4))
		queue.Call("removeGlobalConcurrency")
		l.wantLimits("taken back by node", queue, domain.QueueLimits{})

		do(takt.LimitRate(ctx, "mail", minute))
		l.wantLimits("rate of takt's", queue, domain.QueueLimits{Rate: minute})
		queue.Call("setGlobalRateLimit", hour.Max, hour.Per.Milliseconds())
		l.wantLimits("rate of node's", queue, domain.QueueLimits{Rate: hour})
		do(takt.LimitRate(ctx, "mail", domain.Rate{}))
		l.wantLimits("rate taken back by takt", queue, domain.QueueLimits{})
		do(takt.LimitRate(ctx, "mail", minute))
		queue.Call("removeGlobalRateLimit")
		l.wantLimits("rate taken back by node", queue, domain.QueueLimits{})

		do(takt.Hold(ctx, "mail", time.Hour))
		l.wantLimits("held by takt", queue, domain.QueueLimits{HeldFor: time.Hour})
		queue.Call("rateLimit", time.Minute.Milliseconds())
		l.wantLimits("held by node", queue, domain.QueueLimits{HeldFor: time.Minute})
		do(takt.Hold(ctx, "mail", 0))
		l.wantLimits("hold ended by takt", queue, domain.QueueLimits{})
		do(takt.Hold(ctx, "mail", time.Hour))
		queue.Call("removeRateLimitKey")
		l.wantLimits("hold ended by node", queue, domain.QueueLimits{})
	})
}

func TestCheck54_TheTimeOfARateLimitIsThatOfNodes(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, ours := l.Queue("mail"), queueOf(t, l.producer())
		for _, global := range []int{0, 3} {
			if global > 0 {
				queue.Call("setGlobalRateLimit", global, 60_000)
			}
			for used := range 6 {
				must(t, l.redis.Del(t.Context(), key("limiter")))
				if used > 0 {
					must(t, l.redis.Set(t.Context(), key("limiter"), used, time.Minute))
				}
				for most := range 6 {
					args := []any{most}
					if most == 0 {
						args = nil
					}
					theirs := node.Decode[int64](t, queue.Call("getRateLimitTtl", args...)) > 0
					left, err := ours.RateLimitTTL(t.Context(), most)
					if err != nil || left > 0 != theirs || left > time.Minute {
						t.Errorf("global %d, %d started, of %d: held for %s, %v; node says held: %t", global, used, most, left, err, theirs)
					}
				}
			}
		}
	})
}
