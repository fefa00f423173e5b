package interop_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/interop/keydump"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// Options of a worker, Node's over Takt's jobs and Takt's over Node's.

func TestTheNameOfAWorkerIsInItsJobs(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		byNode := l.put("send", `1`)
		l.Worker("mail", node.Steps{}, node.Opts{"name": "noddy"}).Await(t, 1, "completed")
		l.wantHash(byNode, map[string]string{"pb": "noddy"})

		byTakt := newLab(t, l.Version)
		id := byTakt.Queue("mail").Add("send", 1).ID
		byTakt.work(work{name: "takty", handlers: handlers{"send": echo}})
		byTakt.awaitIn("completed", id)
		if got := byTakt.Queue("mail").MustJob(id).ProcessedBy; got != "takty" {
			t.Errorf("processedBy = %q, want the name of takt's worker", got)
		}
	})
}

func TestTheConcurrencyOfAWorkerBoundsItsJobs(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		gate := l.Gate()
		for range 6 {
			l.put("send", `1`)
		}
		worker := l.Worker("mail", node.Steps{"send": {node.AwaitGate(gate)}}, node.Opts{"concurrency": 2, "drainDelay": 0.05})
		l.wantActive(2)
		worker.Set("concurrency", 4)
		l.Open(gate)
		l.awaitCount("completed", 6)
		worker.Close()

		release := make(chan struct{})
		for range 6 {
			l.Queue("mail").Add("send", 1)
		}
		l.work(work{handlers: handlers{"send": holds(release)}, concurrency: 3})
		l.wantActive(3)
		close(release)
		l.awaitCount("completed", 12)
	})
}

// wantActive waits for as many active jobs, and checks that no more come.
func (l *lab) wantActive(n int) {
	l.t.Helper()
	await(l.t, "the active jobs", func() bool { return len(l.list("active")) >= n })
	redistest.Pass(100 * time.Millisecond)
	if got := len(l.list("active")); got != n {
		l.t.Errorf("%d jobs are active, want %d", got, n)
	}
}

// A wait for a rate limit ends early, so that its removal is seen.
func TestALongRateLimitIsLookedAtAgain(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		queue := l.Queue("mail")
		queue.Call("rateLimit", 600_000)
		worker := l.Worker("mail", node.Steps{}, node.Opts{
			"limiter": node.Opts{"max": 10, "duration": 1000}, "maximumRateLimitDelay": 100,
		})
		first := l.put("send", `1`)
		l.wantIdle(queue, first)
		queue.Call("removeRateLimitKey")
		l.awaitIn("completed", first)
		worker.Close()

		queue.Call("rateLimit", 600_000)
		l.work(work{handlers: handlers{"send": echo}})
		second := queue.Add("send", 2).ID
		l.wantIdle(queue, second)
		queue.Call("removeRateLimitKey")
		l.awaitIn("completed", second)
	})
}

// startedTooOften has a job of the other side put off twice, and then worked by
// a worker that allows it two starts.
func startedTooOften(l *lab, put func(), work func()) keydump.Dump {
	l.t.Helper()
	put()
	desk := l.desk()
	for range 2 {
		desk.settle(desk.next(), domain.Outcome{Kind: domain.Snoozed, After: time.Millisecond})
	}
	work()
	l.awaitIn("failed", "a")
	return l.dump().Without(":marker", ":stalled-check")
}

func TestAJobThatStartedTooOftenFailsOnBothWorkers(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		byNode := newLab(t, l.Version)
		left := startedTooOften(byNode, func() { byNode.put("send", `{}`, domain.JobOptions{ID: "a", Attempts: 9}) }, func() {
			byNode.Worker("mail", node.Steps{}, node.Opts{"name": "w", "maxStartedAttempts": 2})
		})
		if got := byNode.Queue("mail").MustJob("a"); got.AttemptsStarted != 3 {
			t.Errorf("job = %+v, want it failed as it was started the third time", got)
		}
		events := l.Events("mail")
		got := startedTooOften(l, func() { l.Queue("mail").Add("send", node.Opts{}, node.Opts{"jobId": "a", "attempts": 9}) }, func() {
			l.work(work{handlers: handlers{"send": echo}, route: func(r *runner.Route) { r.MaxStarts = 2 }})
		})
		if diff := keydump.Diff(left, got); diff != "" {
			t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
		}
		failed := node.Decode[map[string]string](t, events.Await(t, 1, "failed")[0].Args[0])
		if got := failed["failedReason"]; got != "job started more than allowable limit" {
			t.Errorf("node hears of %q, want its own words", got)
		}
	})
}

// The last start that is allowed is the last attempt. 5.x would still wait for
// one that it then refuses to start.
func TestNoRetryFollowsTheLastStartThatIsAllowed(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		fail := func(l *lab, work func()) keydump.Dump {
			l.Queue("mail").Add("send", node.Opts{}, node.Opts{"jobId": "a", "attempts": 9})
			work()
			l.awaitIn("failed", "a")
			return l.dump().Without(":marker", ":stalled-check")
		}
		got := fail(l, func() {
			l.work(work{handlers: handlers{"send": fails(errBusy)}, route: func(r *runner.Route) { r.MaxStarts = 2 }})
		})
		l.wantHash("a", map[string]string{"ats": "2", "atm": "2", "failedReason": errBusy.Error()})
		byNode := newLab(t, l.Version)
		left := fail(byNode, func() {
			byNode.Worker("mail", node.Steps{"*": {node.Fail(errBusy.Error())}}, node.Opts{"name": "w", "maxStartedAttempts": 2})
		})
		if l.Version != node.V6 {
			byNode.wantHash("a", map[string]string{"ats": "3", "atm": "3", "failedReason": "job started more than allowable limit"})
			return
		}
		if diff := keydump.Diff(left, got); diff != "" {
			t.Errorf("takt leaves other keys than node (-node +takt):\n%s", diff)
		}
	})
}

// The retentions that a worker has for jobs that say nothing.
func TestWhatAWorkerKeepsOfJobsThatSayNothing(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, c := range []struct {
			name string
			node node.Opts
			takt domain.Retention
			want []string
		}{
			{"count", node.Opts{"count": 2}, domain.KeepLast(2), []string{"d", "e"}},
			{"age", node.Opts{"age": 3600}, domain.KeepFor(time.Hour), []string{"d", "e"}},
			{"age and count", node.Opts{"age": 3600, "count": 1}, domain.Retention{Limited: true, Age: time.Hour, Count: 1}, []string{"e"}},
			{"age and limit", node.Opts{"age": 3600, "limit": 1}, domain.Retention{Limited: true, Age: time.Hour, PerFinish: 1}, []string{"a", "d", "e"}},
		} {
			for _, set := range []string{"completed", "failed"} {
				t.Run(c.name+" of "+set, func(t *testing.T) {
					option, none := "removeOnComplete", domain.Retention{}
					completed, failed := c.takt, none
					if set == "failed" {
						option, completed, failed = "removeOnFail", none, c.takt
					}
					byNode := newLab(t, l.Version)
					byNode.Worker("mail", node.Steps{"failed": {node.Fail("busy")}}, node.Opts{option: c.node})
					byNode.fiveOfBoth(set)
					byNode.wantOnly(set, c.want, c.takt.PerFinish > 0)

					byTakt := newLab(t, l.Version)
					byTakt.work(work{handlers: handlers{"completed": echo, "failed": fails(errBusy)}, config: func(config *redisqueue.Config) {
						config.KeepCompleted, config.KeepFailed = completed, failed
					}})
					byTakt.fiveOfBoth(set)
					byTakt.wantOnly(set, c.want, false)
				})
			}
		}
	})
}

// wantOnly checks which finished jobs are kept. With an eviction by age that is
// limited, 5.70.1 takes all old ones out of the set and removes as many as it may.
func (l *lab) wantOnly(set string, want []string, limited bool) {
	l.t.Helper()
	if limited && l.Version == node.V5First {
		var old []string
		for _, id := range []string{"a", "b", "c"} {
			if l.has(id) {
				old = append(old, id)
			}
		}
		if len(old) != 2 {
			l.t.Errorf("jobs %v are left of those out of the set, want two: one was removed when it finished", old)
		}
		want = []string{"d", "e"}
	}
	ids := l.Queue("mail").IDs(set)
	slices.Sort(ids)
	if !slices.Equal(ids, want) {
		l.t.Errorf("kept %v, want %v", ids, want)
	}
}

// finishFive has five jobs finished one after the other, the first three two
// hours before the others by the scores of their set.
func (l *lab) finishFive(set string, put func(id string)) {
	l.t.Helper()
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		put(id)
		await(l.t, "job "+id+" to be finished", func() bool { return len(l.stream("drained")) == i+1 })
		if id == "c" {
			l.backdate(set)
		}
	}
}

// fiveOfBoth is finishFive with jobs that say nothing, from both producers.
func (l *lab) fiveOfBoth(set string) {
	l.t.Helper()
	queue := l.Queue("mail")
	l.finishFive(set, func(id string) {
		if id == "b" || id == "d" {
			queue.Add(set, node.Opts{}, node.Opts{"jobId": id})
		} else {
			l.put(set, `{}`, domain.JobOptions{ID: domain.JobID(id)})
		}
	})
}

// Who does not look for stalled jobs leaves them to others.
func TestAWorkerThatSkipsTheScanLeavesItToTheOther(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		id := l.put("send", `1`)
		l.desk().crash(l)
		blind := l.Worker("mail", node.Steps{}, node.Opts{"skipStalledCheck": true, "stalledInterval": 50})
		redistest.Pass(300 * time.Millisecond)
		l.wantHash(id, map[string]string{"stc": "-"})
		blind.Close()
		l.work(work{handlers: handlers{"send": echo}, timing: shortTiming, config: scanning})
		l.wantRecoveredOnce(id)
	})
}

func TestATaktConsumerThatDoesNotRecoverLeavesItToNode(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		id := l.Queue("mail").Add("send", 1).ID
		l.Manual("mail", node.Opts{"lockDuration": 100, "skipLockRenewal": true}).Next("token")
		l.desk(scanning).nothing(400 * time.Millisecond)
		l.wantHash(id, map[string]string{"stc": "-"})
		l.Worker("mail", node.Steps{}, node.Opts{"stalledInterval": shortScan.Milliseconds()})
		l.wantRecoveredOnce(id)
	})
}

// Who does not renew its lock loses the job to the other's scan.
func TestALockThatNobodyRenewsIsLost(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		gate := l.Gate()
		id := l.put("send", `{}`)
		l.Worker("mail", node.Steps{"send": {node.AwaitGate(gate)}},
			node.Opts{"skipLockRenewal": true, "lockDuration": 300, "skipStalledCheck": true}).Await(t, 1, "active")
		l.work(work{handlers: handlers{"send": echo}, timing: shortTiming, config: scanning})
		l.wantRecoveredOnce(id)
		l.Open(gate)

		byNode := newLab(t, l.Version)
		id = byNode.Queue("mail").Add("send", 1).ID
		byNode.deskLeasing(300 * time.Millisecond).next()
		byNode.Worker("mail", node.Steps{}, node.Opts{"stalledInterval": shortScan.Milliseconds()})
		byNode.wantRecoveredOnce(id)
	})
}

func TestTheLockLastsAsLongAsTheWorkerSays(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		byNode := l.put("send", `1`)
		l.Manual("mail", node.Opts{"lockDuration": 90_000}).Next("token")
		l.wantLock(byNode, 90*time.Second)
		byTakt := l.Queue("mail").Add("send", 2).ID
		l.deskLeasing(70 * time.Second).next()
		l.wantLock(byTakt, 70*time.Second)
	})
}

func (l *lab) wantLock(id string, want time.Duration) {
	l.t.Helper()
	if ttl := must(l.t, l.redis.PTTL(l.t.Context(), key(id+":lock"))); ttl > want || ttl < want-25*time.Second {
		l.t.Errorf("the lock of job %s lasts %s, want %s", id, ttl, want)
	}
}

// Takt renews three times a lease; Node when lockRenewTime says.
func TestTheLockIsRenewedWhenTheWorkerSays(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		gate := l.Gate()
		byNode := l.put("send", `1`)
		l.Worker("mail", node.Steps{"send": {node.AwaitGate(gate)}}, node.Opts{"lockDuration": 60_000, "lockRenewTime": 50})
		l.wantRenewed(byNode, time.Minute)
		l.Open(gate)
		l.awaitIn("completed", byNode)

		byTakt := newLab(t, l.Version)
		release := make(chan struct{})
		id := byTakt.Queue("mail").Add("send", 2).ID
		byTakt.work(work{handlers: handlers{"send": holds(release)}, timing: runner.Timing{JobLease: 9 * time.Second}})
		byTakt.wantRenewed(id, 9*time.Second)
		close(release)
		byTakt.awaitIn("completed", id)
	})
}

// wantRenewed shortens the lock and waits until it is long again.
func (l *lab) wantRenewed(id string, want time.Duration) {
	l.t.Helper()
	await(l.t, "the lock", func() bool { return l.has(id + ":lock") })
	const short = 6 * time.Second
	must(l.t, l.redis.PExpire(l.t.Context(), key(id+":lock"), short))
	await(l.t, "the lock to be renewed", func() bool {
		return must(l.t, l.redis.PTTL(l.t.Context(), key(id+":lock"))) > max(want-2*time.Second, short)
	})
}

// A worker whose queue is broken tries again; what it waits for is up to it.
func TestAWorkerGoesOnOnceItsQueueIsMended(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		must(t, l.redis.Set(t.Context(), key("wait"), "broken", 0))
		worker := l.Worker("mail", node.Steps{}, node.Opts{"runRetryDelay": 50, "drainDelay": 0.05})
		worker.Await(t, 2, "error")
		must(t, l.redis.Del(t.Context(), key("wait")))
		l.awaitIn("completed", l.put("send", `1`))
		worker.Close()

		must(t, l.redis.Set(t.Context(), key("wait"), "broken", 0))
		desk := l.desk()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if leases, err := desk.Reserve(ctx, 1); err == nil {
			t.Errorf("Reserve() = %d leases of a broken queue, want an error", len(leases))
		}
		must(t, l.redis.Del(t.Context(), key("wait")))
		l.Queue("mail").Add("send", 2)
		desk.complete(desk.next(), `2`)
	})
}

// The empty queue is polled as often as drainDelay says; Takt needs no poll.
func TestAWorkerOfAnEmptyQueueFindsAJobWithoutAMarker(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		worker := l.Worker("mail", node.Steps{}, node.Opts{"drainDelay": 0.1})
		await(t, "the worker to block", func() bool { return l.blocked() > 0 })
		l.putWithoutMarker()
		worker.Await(t, 1, "completed")
		worker.Close()
		l.work(work{handlers: handlers{"send": echo}})
		await(t, "takt's worker to block", func() bool { return l.blocked() > 0 })
		l.putWithoutMarker()
		l.awaitCount("completed", 2)
	})
}

// putWithoutMarker adds a job whose marker was lost.
func (l *lab) putWithoutMarker() {
	l.t.Helper()
	other := newLab(l.t, l.Version)
	id := "lost" + string(rune('a'+len(l.scores("completed"))))
	other.put("send", `1`, domain.JobOptions{ID: domain.JobID(id)})
	for field, value := range other.hash(id) {
		must(l.t, l.redis.HSet(l.t.Context(), key(id), field, value))
	}
	must(l.t, l.redis.LPush(l.t.Context(), key("wait"), id))
}
