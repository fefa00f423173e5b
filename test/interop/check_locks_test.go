package interop_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/runner"
	"github.com/taktwork/takt/test/interop/node"
	"github.com/taktwork/takt/test/redistest"
)

// Leases and scans short enough to watch them end.
const (
	shortLease = 800 * time.Millisecond
	shortScan  = 200 * time.Millisecond
)

// scanning lets scans of Takt follow one another quickly.
func scanning(c *redisqueue.Config) { c.StalledInterval = shortScan / 2 }

// survivingOne is scanning with BullMQ's default of one crash.
func survivingOne(c *redisqueue.Config) {
	scanning(c)
	c.MaxCrashes = 1
}

var shortTiming = runner.Timing{JobLease: shortLease, Recover: shortScan}

func TestCheck37_ALockIsRenewedWhileTaktRunsTheJob(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		release := make(chan struct{})
		// A renewal may be late by two seconds on a machine that is busy.
		const lease = 3 * time.Second
		l.work(work{handlers: handlers{"send": holds(release)}, timing: runner.Timing{JobLease: lease, Recover: shortScan}, config: scanning})
		await(t, "the lock", func() bool { return l.has(id + ":lock") })
		token := must(t, l.redis.Get(t.Context(), key(id+":lock")))
		if token == "" || token == "0" {
			t.Errorf("lock = %q, want a token", token)
		}
		if ttl := must(t, l.redis.PTTL(t.Context(), key(id+":lock"))); ttl <= 0 || ttl > lease {
			t.Errorf("the lock lasts %s, want at most %s", ttl, lease)
		}
		must(t, l.redis.SAdd(t.Context(), key("stalled"), id))
		outlived := time.Now().Add(lease + lease/2)
		for time.Now().Before(outlived) {
			if now := l.redis.Get(t.Context(), key(id+":lock")).Val(); now != token {
				t.Fatalf("lock = %q, want %q for as long as the job runs", now, token)
			}
			redistest.Pass(5 * time.Millisecond)
		}
		close(release)
		l.awaitIn("completed", id)
		l.wantHash(id, map[string]string{"stc": "-", "ats": "1"})
		if must(t, l.redis.SIsMember(t.Context(), key("stalled"), id)) {
			t.Error("the id is still in the set of stalled jobs")
		}
	})
}

func TestCheck37_ARenewalTakesTheJobOffTheStalledOnes(t *testing.T) {
	l := labWithoutNode(t)
	id := l.put("send", `{}`)
	desk := l.deskLeasing(shortLease)
	lease := desk.next()
	must(t, l.redis.SAdd(t.Context(), key("stalled"), id))
	must(t, l.redis.PExpire(t.Context(), key(id+":lock"), shortLease/4))
	if lost, err := desk.Extend(t.Context(), []domain.LeaseRef{lease.Ref()}); err != nil || len(lost) > 0 {
		t.Fatalf("Extend() = %v, %v, want no lease lost", lost, err)
	}
	if ttl := must(t, l.redis.PTTL(t.Context(), key(id+":lock"))); ttl < shortLease/2 || ttl > shortLease {
		t.Errorf("the lock lasts %s, want about %s", ttl, shortLease)
	}
	if l.has("stalled") {
		t.Error("the id is still in the set of stalled jobs")
	}
}

// wantRecoveredOnce checks what a job went through whose first worker died.
func (l *lab) wantRecoveredOnce(id string) {
	l.t.Helper()
	l.awaitIn("completed", id)
	l.wantHash(id, map[string]string{"stc": "1", "ats": "2", "atm": "1", "defa": "-"})
	story := l.storyOf(id)
	at := slices.Index(story, "stalled")
	if at < 1 || story[at-1] != "waiting prev=active" {
		l.t.Errorf("events = %v, want stalled after waiting prev=active", story)
	}
	if n := len(l.stream("completed")); n != 1 {
		l.t.Errorf("%d completed events, want one", n)
	}
}

func TestCheck38_NodeRecoversTheJobOfAKilledTaktWorker(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		events := l.Events("mail")
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		killHangingWorker(t, l)
		l.Worker("mail", node.Steps{}, node.Opts{"stalledInterval": shortScan.Milliseconds()})
		killed := time.Now()
		stalled := events.Await(t, 1, "stalled")[0]
		if stalled.Field(t, "jobId") != id {
			t.Errorf("QueueEvents says that job %s stalled, want %s", stalled.Field(t, "jobId"), id)
		}
		if took := time.Since(killed); took > shortLease+2*shortScan+2*time.Second {
			t.Errorf("recovered after %s, want about the lease and two scans", took)
		}
		l.wantRecoveredOnce(id)
	})
}

func TestCheck39_TaktRecoversTheJobOfAKilledNodeWorker(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`)
		agent, err := node.Start(l.Version)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(agent.Kill)
		hanging := node.Connect(t, agent, l.server.Addr).Worker("mail", node.Steps{"*": {node.AwaitGate("never")}},
			node.Opts{"lockDuration": shortLease.Milliseconds(), "stalledInterval": shortScan.Milliseconds()})
		hanging.Await(t, 1, "active")
		agent.Kill()
		l.work(work{handlers: handlers{"send": echo}, timing: shortTiming, config: scanning})
		l.wantRecoveredOnce(id)
	})
}

// crash takes the job and lets its lease run out.
func (d *desk) crash(l *lab) {
	d.t.Helper()
	lease := d.next()
	must(d.t, l.redis.Del(d.t.Context(), key(string(lease.Job.ID)+":lock")))
}

// scanTwice makes two scans: a job is recovered by the second after its lock
// has gone.
func (d *desk) scanTwice() []domain.Recovered {
	d.t.Helper()
	var recovered []domain.Recovered
	await(d.t, "a job to be recovered", func() bool {
		recovered = d.recover()
		return len(recovered) > 0
	})
	return recovered
}

const stalledTooOften = "job stalled more than allowable limit"

func (l *lab) wantFailedForStalling(id string) {
	l.t.Helper()
	l.awaitIn("failed", id)
	l.wantHash(id, map[string]string{"failedReason": stalledTooOften, "defa": "-", "stc": "2"})
	if l.hash(id)["finishedOn"] == "" {
		l.t.Error("finishedOn is not set")
	}
}

func TestCheck40_AJobThatStalledTwiceFails(t *testing.T) {
	t.Parallel()
	t.Run("takt scans and works", func(t *testing.T) {
		l := labWithoutNode(t)
		id := l.put("send", `{}`, domain.JobOptions{Attempts: 5})
		desk := l.desk(survivingOne)
		for range 2 {
			desk.crash(l)
			desk.scanTwice()
		}
		l.wantHash(id, map[string]string{"defa": stalledTooOften})
		l.work(work{handlers: handlers{"send": echo}})
		l.wantFailedForStalling(id)
	})
	t.Run("takt scans and node works", func(t *testing.T) {
		forVersions(t, full, func(_ *testing.T, l *lab) {
			id := l.put("send", `{}`, domain.JobOptions{Attempts: 5})
			desk := l.desk(survivingOne)
			for range 2 {
				desk.crash(l)
				desk.scanTwice()
			}
			l.Worker("mail", node.Steps{})
			l.wantFailedForStalling(id)
		})
	})
	t.Run("node scans and takt works", func(t *testing.T) {
		forVersions(t, full, func(t *testing.T, l *lab) {
			id := l.put("send", `{}`, domain.JobOptions{Attempts: 5})
			desk := l.desk()
			for crashes := range 2 {
				desk.crash(l)
				worker := l.Manual("mail", node.Opts{"stalledInterval": shortScan.Milliseconds(), "maxStalledCount": 1})
				worker.Call("startStalledCheckTimer")
				await(t, "the job to be recovered", func() bool { return l.hash(id)["stc"] == []string{"1", "2"}[crashes] })
				worker.Close()
			}
			l.work(work{handlers: handlers{"send": echo}})
			l.wantFailedForStalling(id)
		})
	})
}

func TestCheck41_AResultWithoutALockIsDropped(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}).ID
		desk := l.desk(scanning)
		lease := desk.next()
		must(t, l.redis.Del(t.Context(), key(id+":lock")))
		before := l.dump()
		for _, kind := range []domain.OutcomeKind{
			domain.Completed, domain.Failed, domain.Retry, domain.Snoozed, domain.Returned, domain.Parked, domain.RateLimited, domain.WaitingForChildren,
		} {
			if status := desk.trySettle(lease, domain.Outcome{Kind: kind, After: time.Second}); status != domain.LeaseLost {
				t.Errorf("Settle(%s) = %v, want the lease lost", kind, status)
			}
		}
		l.wantDump("after settlements without a lock", before)
		if state := queue.State(id); state != "active" {
			t.Errorf("state = %s, want active still", state)
		}
		if recovered := desk.scanTwice(); len(recovered) != 1 || string(recovered[0].ID) != id {
			t.Errorf("Recover() = %v, want job %s", recovered, id)
		}
		l.Worker("mail", node.Steps{})
		l.wantRecoveredOnce(id)
	})
}

func TestCheck41_AWorkerCountsTheLeaseItLost(t *testing.T) {
	l := labWithoutNode(t)
	id := l.put("send", `{}`)
	release := make(chan struct{})
	r := l.work(work{handlers: handlers{"send": holds(release)}})
	await(t, "the lock", func() bool { return l.has(id + ":lock") })
	must(t, l.redis.Del(t.Context(), key(id+":lock")))
	close(release)
	await(t, "the lost lease to be counted", func() bool { return r.Counts()[domain.EventLost] == 1 })
	l.wantHash(id, map[string]string{"returnvalue": "-", "finishedOn": "-"})
}

func TestCheck42_AResultUnderSomebodyElsesLockIsDropped(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		id := l.Queue("mail").Add("send", node.Opts{}).ID
		desk := l.desk()
		lease := desk.next()
		must(t, l.redis.Set(t.Context(), key(id+":lock"), "somebody", time.Minute))
		before := l.dump()
		if status := desk.trySettle(lease, domain.Outcome{Kind: domain.Completed}); status != domain.LeaseLost {
			t.Errorf("Settle() = %v, want the lease lost", status)
		}
		l.wantAnswer("-6")
		if lost, err := desk.Extend(t.Context(), []domain.LeaseRef{lease.Ref()}); err != nil || len(lost) != 1 {
			t.Errorf("Extend() = %v, %v, want the lease lost", lost, err)
		}
		note := domain.Note{Lease: lease.Ref(), Progress: []byte("1"), Log: []string{"x"}, Data: []byte("2")}
		if lost, err := desk.Annotate(t.Context(), []domain.Note{note}); err != nil || len(lost) != 1 {
			t.Errorf("Annotate() = %v, %v, want the lease lost", lost, err)
		}
		l.wantDump("after calls under somebody else's lock", before)
		if lock := must(t, l.redis.Get(t.Context(), key(id+":lock"))); lock != "somebody" {
			t.Errorf("lock = %s, want it untouched", lock)
		}
	})
}

// wantAnswer checks that a call that settled was answered with the code, as its
// session has recorded.
func (l *lab) wantAnswer(code string) {
	l.t.Helper()
	var answers []string
	for _, name := range must(l.t, l.redis.Keys(l.t.Context(), "takt:{bull}:*")) {
		if l.redis.Type(l.t.Context(), name).Val() == "string" {
			_, answer, _ := strings.Cut(must(l.t, l.redis.Get(l.t.Context(), name)), "\n")
			answers = append(answers, answer)
		}
	}
	if !slices.Contains(answers, code) {
		l.t.Errorf("recorded answers are %q, want %s among them", answers, code)
	}
}

func TestCheck43_AJobDeletedUnderTaktLeavesNothingActive(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}).ID
		desk := l.desk()
		lease := desk.next()
		must(t, l.redis.Del(t.Context(), key(id)))
		if status := desk.trySettle(lease, domain.Outcome{Kind: domain.Completed}); status != domain.LeaseLost {
			t.Errorf("Settle() = %v, want the lease lost", status)
		}
		if l.has("active") || l.has(id) || l.has(id+":lock") {
			t.Error("the active list, the hash or the lock is there, want none")
		}
		if counts := queue.Counts(); counts["completed"]+counts["active"]+counts["failed"] != 0 {
			t.Errorf("counts = %v, want none", counts)
		}
	})
}

func TestCheck44_OneScanAnIntervalOverAllWorkers(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		id := l.put("send", `{}`)
		desk := l.desk(func(c *redisqueue.Config) { c.StalledInterval = time.Minute })
		desk.crash(l)
		must(t, l.redis.SAdd(t.Context(), key("stalled"), id))
		// A scan would recover the job now, if the guard let it.
		must(t, l.redis.Set(t.Context(), key("stalled-check"), 1, time.Minute))
		if recovered := desk.recover(); len(recovered) > 0 {
			t.Errorf("takt recovered %v although a scan was made in this interval", recovered)
		}
		must(t, l.redis.Del(t.Context(), key("stalled-check")))
		if recovered := desk.recover(); len(recovered) != 1 {
			t.Errorf("Recover() = %v, want the job", recovered)
		}
		desk.crash(l)
		must(t, l.redis.SAdd(t.Context(), key("stalled"), id))
		if ttl := must(t, l.redis.PTTL(t.Context(), key("stalled-check"))); ttl < 50*time.Second || ttl > time.Minute {
			t.Errorf("takt's guard lasts %s, want the interval of a minute", ttl)
		}
		worker := l.Manual("mail", node.Opts{"stalledInterval": 10})
		for range 3 {
			worker.Call("moveStalledJobsToWait")
		}
		l.wantHash(id, map[string]string{"stc": "1"})
	})
}

func TestCheck45_ARecoveredJobLosesItsPriority(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		id := queue.Add("send", node.Opts{}, node.Opts{"priority": 3}).ID
		desk := l.desk(scanning)
		desk.crash(l)
		desk.scanTwice()
		if state := queue.State(id); state != "waiting" {
			t.Errorf("state = %s, want waiting", state)
		}
		l.wantHash(id, map[string]string{"priority": "3", "stc": "1"})
	})
}
