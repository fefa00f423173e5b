package redisqueue_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// lagging is a primary with one replica behind sentinels, of which the test
// says when the replica has what the primary has.
type lagging struct {
	*redistest.Sentinels

	t *testing.T
}

// cutOff keeps from the replica what happens from now on.
func (l lagging) cutOff() {
	l.t.Helper()
	primary, replica := l.Servers[0], l.Servers[1]
	if n, err := primary.Client().Wait(l.t.Context(), 1, patience).Result(); err != nil || n != 1 {
		l.t.Fatalf("WAIT = %d, %v, want one replica with all that there is", n, err)
	}
	replica.Pause()
	if err := primary.Client().ClientKillByFilter(l.t.Context(), "TYPE", "replica").Err(); err != nil {
		l.t.Fatalf("CLIENT KILL = %v, want no error", err)
	}
}

// failOver puts the replica into the place of the primary.
func (l lagging) failOver() {
	l.t.Helper()
	l.Servers[0].Kill()
	l.Servers[1].Continue()
	l.AwaitPrimary(l.Servers[0])
}

func addJobs(t *testing.T, backend *redisqueue.Backend, name string, n int) []domain.JobID {
	t.Helper()
	jobs, ids := make([]domain.NewJob, n), make([]domain.JobID, n)
	for i := range jobs {
		ids[i] = domain.JobID(fmt.Sprintf("%s-%d", name, i))
		jobs[i] = domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`{}`)}
		jobs[i].Options.ID = ids[i]
	}
	if _, err := backend.Enqueue(t.Context(), jobs...); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	return ids
}

func TestWhatAFailoverLosesIsNamed(t *testing.T) {
	t.Parallel()
	l := lagging{Sentinels: redistest.StartSentinels(t, 1), t: t}
	log := &diary{}
	backend := openSentinels(t, l.Sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ledger := backend.Ledger()
	first := syncLedger(t, ledger, domain.SyncRequest{Replica: "ann", Definitions: manyDefinitions(1, "v1")})

	kept := addJobs(t, backend, "kept", 3)
	leases, err := consumer.Reserve(t.Context(), 2)
	if err != nil || len(leases) != 2 {
		t.Fatalf("Reserve = %v, %v, want two jobs", leases, err)
	}
	l.cutOff()
	lost := addJobs(t, backend, "lost", 250)
	tick := tickAfter(first.Jobs[0].Cursor)
	claimAll(t, ledger, tick)
	settled := domain.Settlement{Lease: leases[0].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
	reply, err := consumer.Settle(t.Context(), []domain.Settlement{settled}, 1)
	if err != nil || reply.Statuses[0] != domain.Settled || len(reply.Leases) != 1 {
		t.Fatalf("Settle = %+v, %v, want it settled, and the next job", reply, err)
	}
	flow, err := backend.AddFlow(t.Context(), redisqueue.FlowNode{
		Queue: "wholes", Name: "whole", Children: []redisqueue.FlowNode{{Queue: "parts", Name: "part"}},
	})
	if err != nil {
		t.Fatalf("AddFlow = %v, want no error", err)
	}
	lost = append(lost, flow.ID, flow.Children[0].ID)
	l.failOver()

	addJobs(t, backend, "after", 1)
	if _, err := consumer.Recover(t.Context()); err != nil {
		t.Errorf("Recover = %v, want no error", err)
	}
	text := log.String()
	for _, id := range lost {
		if !strings.Contains(text, string(id)+",") && !strings.Contains(text, string(id)+" ") {
			t.Errorf("%s is lost, and not named in the log", id)
		}
	}
	for message, id := range map[string]domain.JobID{
		"a failover lost outcomes: the jobs are worked again":  leases[0].Job.ID,
		"a failover lost leases: the jobs may be worked twice": reply.Leases[0].Job.ID,
		"a failover lost claims: the runs may start twice":     domain.JobID(tick.Run.String()),
	} {
		if line := lineWith(text, message); !strings.Contains(line, string(id)) {
			t.Errorf("%q names %s, want %s", message, line, id)
		}
	}
	if line := lineWith(text, "lost accepted jobs"); strings.Contains(line, "kept") || strings.Contains(line, "after") {
		t.Errorf("%s; want none that is there", line)
	}
	for _, id := range append(kept, lost[0], lost[200]) {
		views, err := backend.Jobs(t.Context(), "mail", domain.JobFilter{ID: id})
		if want := strings.HasPrefix(string(id), "kept"); err != nil || (len(views) == 1) != want {
			t.Errorf("Jobs of %s = %v, %v; want it there: %v", id, views, err, want)
		}
	}
	// The tick is nobody's again.
	if v := claimAll(t, ledger, tick)[0]; v.Kind != domain.Granted {
		t.Errorf("the tick is %v after its claim was lost, want it granted", v.Kind)
	}
}

func TestAFailoverThatLosesNothingIsNotCriedOver(t *testing.T) {
	t.Parallel()
	l := lagging{Sentinels: redistest.StartSentinels(t, 1), t: t}
	log := &diary{}
	backend := openSentinels(t, l.Sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	addJobs(t, backend, "kept", 300)
	l.cutOff()
	l.failOver()
	addJobs(t, backend, "after", 1)
	if strings.Contains(log.String(), "a failover") {
		t.Errorf("the log is %s; want nothing lost", log)
	}
	if since, reason := backend.Health(); !since.IsZero() {
		t.Errorf("Health = %v, %v after the failover, want well", since, reason)
	}
}

// The record of a session that is not used comes to its end one day. That is
// nothing that a failover lost.
func TestARecordThatHasEndedIsNotCriedOver(t *testing.T) {
	t.Parallel()
	for about, past := range map[string]time.Duration{"a session that is idle": 2 * time.Minute, "a client that is idle": 25 * time.Hour} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			l := lagging{Sentinels: redistest.StartSentinels(t, 1), t: t}
			log := &diary{}
			var ahead atomic.Int64
			backend := openSentinels(t, l.Sentinels, func(c *redisqueue.Config) {
				c.Log = slog.New(slog.NewTextHandler(log, nil))
				c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			})
			addJobs(t, backend, "kept", 300)
			primary := l.Servers[0].Client()
			records, err := primary.Keys(t.Context(), "*:session:*").Result()
			if err != nil || len(records) == 0 || primary.Del(t.Context(), records...).Err() != nil {
				t.Fatalf("the records of sessions are %v, %v, want some to delete", records, err)
			}
			ahead.Store(int64(past))
			l.cutOff()
			l.failOver()
			addJobs(t, backend, "after", 1)
			if strings.Contains(log.String(), "a failover") {
				t.Errorf("the log is %s; want nothing lost", log)
			}
		})
	}
}

// A session that is not used any more keeps nothing of what it did.
func TestIdleSessionsForget(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t, 0)
	var ahead atomic.Int64
	backend := openSentinels(t, sentinels, func(c *redisqueue.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	connections(t, sentinels.Servers[0], backend, 4)
	if n := redisqueue.RememberedNames(backend); n < 4 {
		t.Fatalf("%d names are remembered, want those of four jobs", n)
	}
	ahead.Store(int64(2 * time.Minute))
	for range 8 {
		enqueueOne(t, backend)
	}
	if n := redisqueue.RememberedNames(backend); n != 8 {
		t.Errorf("%d names are remembered, want the eight of now", n)
	}
}

func TestAPrimaryThatNeedsNoReplicaIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want bool
	}{{nil, true}, {[]string{"--min-replicas-to-write", "1"}, false}} {
		log := &diary{}
		sentinels := redistest.StartSentinels(t, 1, c.args...)
		backend := openSentinels(t, sentinels, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
		if err := backend.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "a failover of redis may lose jobs"); got != c.want {
			t.Errorf("%v: the log is %s; want a warning: %v", c.args, log, c.want)
		}
		if told, err := backend.Survey(t.Context()); err != nil || told.Exposed != c.want || told.Replica {
			t.Errorf("%v: Survey = %+v, %v, want the primary, exposed: %v", c.args, told, err, c.want)
		}
	}
}

// lineWith returns the first line of the text with the words.
func lineWith(text, words string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return line
		}
	}
	return ""
}
