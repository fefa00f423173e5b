package redisqueue_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// plainQueue is a queue with one waiting job, "1", that has nothing to it.
type plainQueue struct {
	client   *redis.Client
	enqueuer ports.Enqueuer
	consumer ports.Consumer
}

func newPlainQueue(t *testing.T) plainQueue {
	t.Helper()
	server := redistest.Start(t)
	backend := open(t, server, nil)
	if _, err := backend.Enqueue(t.Context(), domain.NewJob{Queue: "mail", Name: "send", Data: []byte(`{"to":"a"}`)}); err != nil {
		t.Fatal(err)
	}
	consumer, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return plainQueue{client: server.Client(), enqueuer: backend, consumer: consumer}
}

// lease reserves the job.
func (q plainQueue) lease(t *testing.T) domain.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	leases, err := q.consumer.Reserve(ctx, 1)
	if err != nil || len(leases) != 1 {
		t.Fatalf("Reserve() = %v, %v, want one lease", leases, err)
	}
	return leases[0]
}

// complete settles the lease as completed.
func (q plainQueue) complete(t *testing.T, lease domain.Lease) domain.SettleStatus {
	t.Helper()
	reply, err := q.consumer.Settle(t.Context(), []domain.Settlement{{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}}, 0)
	if err != nil || len(reply.Statuses) != 1 {
		t.Fatalf("Settle() = %v, %v, want one status", reply, err)
	}
	return reply.Statuses[0]
}

func (q plainQueue) field(t *testing.T, name string) string {
	t.Helper()
	value, err := q.client.HGet(t.Context(), "bull:mail:1", name).Result()
	if err != nil {
		t.Fatalf("field %s: %v", name, err)
	}
	return value
}

// redo puts the finished job back as a retry of Node does that resets the
// given counters.
func (q plainQueue) redo(t *testing.T, reset ...string) {
	t.Helper()
	_, err := q.client.TxPipelined(t.Context(), func(pipe redis.Pipeliner) error {
		pipe.ZRem(t.Context(), "bull:mail:completed", "1")
		pipe.HDel(t.Context(), "bull:mail:1", append(reset, "finishedOn", "processedOn", "returnvalue")...)
		pipe.LPush(t.Context(), "bull:mail:wait", "1")
		pipe.ZAdd(t.Context(), "bull:mail:marker", redis.Z{Member: "0"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARetryThatForgetsTheStartsKeepsTheAttemptsMade(t *testing.T) {
	q := newPlainQueue(t)
	q.complete(t, q.lease(t))
	q.redo(t, "ats")
	again := q.lease(t)
	if again.Job.AttemptsMade != 1 || again.Job.AttemptsStarted != 1 {
		t.Errorf("lease of the job says %d attempts made, %d started, want 1 and 1", again.Job.AttemptsMade, again.Job.AttemptsStarted)
	}
	q.complete(t, again)
	if atm, ats := q.field(t, "atm"), q.field(t, "ats"); atm != "2" || ats != "1" {
		t.Errorf("atm %s, ats %s, want 2 and 1", atm, ats)
	}
}

func TestARetryThatForgetsAllCountersKeepsTheCrashes(t *testing.T) {
	q := newPlainQueue(t)
	q.complete(t, q.lease(t))
	if err := q.client.HSet(t.Context(), "bull:mail:1", "stc", 1).Err(); err != nil {
		t.Fatal(err)
	}
	q.redo(t, "ats", "atm")
	if again := q.lease(t); again.Job.Crashes != 1 || again.Job.AttemptsMade != 0 {
		t.Errorf("lease of the job says %d crashes, %d attempts made, want 1 and 0", again.Job.Crashes, again.Job.AttemptsMade)
	}
}

func TestAPlainJobThatGotAParentMeanwhileTellsIt(t *testing.T) {
	q := newPlainQueue(t)
	lease := q.lease(t)
	ctx := t.Context()
	// What Node writes when a flow is added that names a job that is there.
	q.client.HSet(ctx, "bull:mail:p", "name", "sum", "data", "{}", "opts", "{}", "timestamp", 1, "delay", 0, "priority", 0)
	q.client.ZAdd(ctx, "bull:mail:waiting-children", redis.Z{Score: 1, Member: "p"})
	q.client.SAdd(ctx, "bull:mail:p:dependencies", "bull:mail:1")
	q.client.HSet(ctx, "bull:mail:1", "parentKey", "bull:mail:p", "parent", `{"id":"p","queueKey":"bull:mail"}`)
	if got := q.complete(t, lease); got != domain.Settled {
		t.Fatalf("status %v, want settled", got)
	}
	left, err := q.client.SCard(ctx, "bull:mail:p:dependencies").Result()
	if err != nil || left != 0 {
		t.Errorf("the parent waits for %d jobs, %v, want none", left, err)
	}
	if next := q.lease(t); next.Job.ID != "p" {
		t.Errorf("the next job is %s, want the parent p", next.Job.ID)
	}
}

func TestAPlainJobThatIsGoneLeavesNothingBehind(t *testing.T) {
	q := newPlainQueue(t)
	lease := q.lease(t)
	q.client.Del(t.Context(), "bull:mail:1")
	if got := q.complete(t, lease); got != domain.LeaseLost {
		t.Errorf("status %v, want that the lease is lost", got)
	}
	for _, key := range []string{"bull:mail:1", "bull:mail:1:lock", "bull:mail:active", "bull:mail:completed"} {
		if n, err := q.client.Exists(t.Context(), key).Result(); err != nil || n != 0 {
			t.Errorf("key %s is there: %d, %v", key, n, err)
		}
	}
}

func TestAPlainJobThatGotChildrenMeanwhileDoesNotComplete(t *testing.T) {
	q := newPlainQueue(t)
	lease := q.lease(t)
	q.client.SAdd(t.Context(), "bull:mail:1:dependencies", "bull:mail:child")
	completed := domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
	lost := domain.Settlement{Lease: domain.LeaseRef{ID: "gone", Token: "t"}, Outcome: domain.Outcome{Kind: domain.Completed}}
	// In a second call.
	reply, err := q.consumer.Settle(t.Context(), append(slices.Repeat([]domain.Settlement{lost}, 60), completed), 0)
	if err != nil {
		t.Fatal(err)
	}
	const want = "Job 1 has pending dependencies. moveToFinished"
	if got := q.field(t, "failedReason"); got != want {
		t.Errorf("the job failed for %q, want %q", got, want)
	}
	instead := map[int]domain.Outcome{60: {Kind: domain.Failed, Reason: want}}
	if diff := cmp.Diff(instead, reply.Instead); diff != "" || reply.Statuses[60] != domain.Settled {
		t.Errorf("settled as %v, written instead (-want +got):\n%s", reply.Statuses[60], diff)
	}
}

func TestALockOfTheWrongTypeDoesNotKeepAJobBack(t *testing.T) {
	q := newPlainQueue(t)
	q.client.RPush(t.Context(), "bull:mail:1:lock", "x")
	lease := q.lease(t)
	if lock, err := q.client.Get(t.Context(), "bull:mail:1:lock").Result(); err != nil || lock != string(lease.Token) {
		t.Errorf("the lock is %q, %v, want the token %q", lock, err, lease.Token)
	}
}

func TestOfManyPlainJobsThoseThatAreNotActiveAreLost(t *testing.T) {
	q := newPlainQueue(t)
	for _, state := range []string{"stalled", "active"} {
		jobs := make([]domain.NewJob, 5)
		for i := range jobs {
			jobs[i] = domain.NewJob{Queue: "mail", Name: "send"}
		}
		if _, err := q.enqueuer.Enqueue(t.Context(), jobs...); err != nil {
			t.Fatal(err)
		}
		leases, err := q.consumer.Reserve(t.Context(), 5)
		if err != nil || len(leases) != 5 {
			t.Fatalf("Reserve() = %d leases, %v, want 5", len(leases), err)
		}
		settlements := make([]domain.Settlement, len(leases))
		for i := range leases {
			settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
		}
		lost := string(leases[2].Job.ID)
		q.client.SAdd(t.Context(), "bull:mail:stalled", lost)
		if state == "active" {
			q.client.LRem(t.Context(), "bull:mail:active", 1, lost)
		}
		reply, err := q.consumer.Settle(t.Context(), settlements, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, status := range reply.Statuses {
			want := domain.Settled
			if i == 2 && state == "active" {
				want = domain.LeaseLost
			}
			if status != want {
				t.Errorf("%s: status of job %s = %v, want %v", state, leases[i].Job.ID, status, want)
			}
		}
		if n := q.client.Exists(t.Context(), "bull:mail:stalled", "bull:mail:active").Val(); n != 0 {
			t.Errorf("%s: %d of the lists stalled and active are left, want none", state, n)
		}
	}
}

func TestAQueueThatWasFoundDryIsNotAskedAgain(t *testing.T) {
	q := newPlainQueue(t)
	if leases, err := q.consumer.Reserve(t.Context(), 10); err != nil || len(leases) != 1 {
		t.Fatalf("Reserve() = %d leases, %v, want one", len(leases), err)
	}
	q.client.Del(t.Context(), "bull:mail:marker")
	q.client.ConfigResetStat(t.Context())
	got := make(chan int)
	go func() {
		leases, _ := q.consumer.Reserve(t.Context(), 10)
		got <- len(leases)
	}()
	awaitBlocked(t, q.client)
	if calls := q.client.Info(t.Context(), "commandstats").Val(); strings.Contains(calls, "cmdstat_evalsha") {
		t.Errorf("a queue that was just found dry was asked again:\n%s", calls)
	}
	if _, err := q.enqueuer.Enqueue(t.Context(), domain.NewJob{Queue: "mail", Name: "send"}); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 1 {
		t.Errorf("Reserve() = %d leases, want the job that came", n)
	}
}
