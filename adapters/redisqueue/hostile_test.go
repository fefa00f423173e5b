package redisqueue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// hostileJob is something that another client of Redis may have put in the
// place of a job.
type hostileJob struct {
	name string
	// id is what stands in the list of ready jobs; "bad" unless set.
	id string
	// put stores the rest of it.
	put func(r *rawQueue, key string)
	// refused is what the reason begins with for which no handler sees it;
	// empty if one may.
	refused string
	// stays is set for what must not be touched: it is no job.
	stays bool
	// check looks at the lease.
	check func(t *testing.T, job *domain.Job)
}

func hset(pairs ...any) func(r *rawQueue, key string) {
	return func(r *rawQueue, key string) { r.rdb.HSet(r.Context(), key, pairs...) }
}

func hostileJobs() []hostileJob {
	const missing = "missing job data"
	return []hostileJob{
		{name: "no hash", refused: missing},
		{name: "a hash without a name", put: hset("data", "{}", "opts", "{}", "timestamp", "1"), refused: missing},
		{name: "a crash counter alone", put: hset("stc", "1"), refused: missing},
		{name: "a start alone", put: hset("processedOn", "1", "ats", "1"), refused: missing},
		{name: "data of 1 MB", put: hset("name", "n", "data", strings.Repeat("x", 1<<20), "timestamp", "1"), refused: "job is too large"},
		{name: "a name of 1 MB", put: hset("name", strings.Repeat("n", 1<<20), "data", "{}"), refused: "job is too large"},
		{name: "options of 1 MB", put: hset("name", "n", "opts", strings.Repeat("[", 1<<20)), refused: "job is too large"},
		{
			name: "stack traces of 1 MB", put: hset("name", "n", "stacktrace", strings.Repeat("[", 1<<20), "defa", strings.Repeat("d", 1<<20)),
			refused: "dddd",
		},
		{
			name: "data that is not JSON", put: hset("name", "n", "data", `{"a":`, "opts", "{}"),
			check: func(t *testing.T, job *domain.Job) {
				if string(job.Data) != `{"a":` {
					t.Errorf("data = %q, want it as it is", job.Data)
				}
			},
		},
		{
			name: "options that are not JSON", put: hset("name", "n", "data", "{}", "opts", `{"attempts":3`),
			check: func(t *testing.T, job *domain.Job) {
				if job.Options != (domain.JobOptions{}) {
					t.Errorf("options = %+v, want none", job.Options)
				}
			},
		},
		{
			name: "numbers that are none", put: hset("name", "n", "timestamp", "NaN", "priority", "-inf", "ats", "x", "atm", "1e400", "stc", "-5", "delay", "{}"),
			check: func(t *testing.T, job *domain.Job) {
				if job.AttemptsMade != 0 || job.Crashes != 0 || job.Options.Priority != 0 || !job.CreatedAt.IsZero() {
					t.Errorf("job = %+v, want zeros", job)
				}
			},
		},
		{name: "an id with colons", id: "a:b:c:d", put: hset("name", "n")},
		{name: "an id with braces", id: "{x}{", put: hset("name", "n")},
		{name: "a binary id", id: "\x00\xff\n\r\"", put: hset("name", "n")},
		{name: "an id of 512 bytes", id: strings.Repeat("i", 512), put: hset("name", "n")},
		{name: "an id of 100 KB", id: strings.Repeat("i", 100<<10), put: hset("name", "n")},
		{name: "a list in the place of the hash", put: func(r *rawQueue, key string) { r.rdb.RPush(r.Context(), key, "x") }, refused: missing, stays: true},
		{name: "the id of the settings", id: "meta", put: hset("opts.maxLenEvents", "100"), refused: missing, stays: true},
		{name: "the id of the events", id: "events", refused: missing, stays: true},
		{name: "the id of a list", id: "completed", refused: missing},
		{name: "the id of the list itself", id: "wait", refused: missing},
		{
			name: "a parent of another prefix", put: func(r *rawQueue, key string) {
				r.do("HSET other:q:p name n", "SADD other:q:p:dependencies "+key, "ZADD other:q:waiting-children 1 p")
				hset("name", "n", "parentKey", "other:q:p", "parent", `{"id":"p","queueKey":"other:q","fpof":true}`)(r, key)
			},
		},
		{
			name: "a parent that is no job", put: func(r *rawQueue, key string) {
				r.do("SET bull:q:p:dependencies text", "HSET bull:q:p name n")
				hset("name", "n", "parentKey", "bull:q:p", "parent", `{"fpof":true}`)(r, key)
			},
		},
		{
			name: "a parent of which nothing is true", put: func(r *rawQueue, key string) {
				r.do("RPUSH bull:q:p x", "SADD bull:q:p:dependencies "+key)
				hset("name", "n", "parentKey", "bull:q:p", "parent", `[[`)(r, key)
			},
		},
		{name: "a parent key that is none", put: hset("name", "n", "parentKey", "::::", "parent", "{}")},
		{name: "a deduplication key of another kind", put: func(r *rawQueue, key string) {
			r.do("RPUSH bull:q:de:k x", "SET bull:q:dn:k x")
			hset("name", "n", "deid", "k", "opts", `{"de":{"id":"k"}}`)(r, key)
		}},
	}
}

func TestABadJobHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	for _, bad := range hostileJobs() {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			meet(r, &bad, t)
			if t.Failed() {
				return
			}
			outside := r.rdb.SMembers(t.Context(), "other:q:p:dependencies").Val()
			if strings.Contains(bad.name, "another prefix") && len(outside) != 1 {
				t.Error("a parent outside the prefix was told of its child")
			}
		})
	}
}

// meet lets a worker meet the bad job between two good ones.
func meet(r *rawQueue, bad *hostileJob, t *testing.T) {
	t.Helper()
	if bad.id == "" {
		bad.id = "bad"
	}
	key := "bull:q:" + bad.id
	r.add(domain.JobOptions{ID: "first"})
	if bad.put != nil {
		bad.put(r, key)
	}
	if err := r.rdb.LPush(t.Context(), "bull:q:wait", bad.id).Err(); err != nil {
		t.Fatalf("LPUSH = %v, want no error", err)
	}
	r.add(domain.JobOptions{ID: "last"})
	kind := r.rdb.Type(t.Context(), key).Val()
	c := r.consumer()
	var leases []domain.Lease
	for len(leases) < 3 {
		leases = append(leases, reserve(t, c, 3)...)
	}
	if got := []domain.JobID{leases[0].Job.ID, leases[1].Job.ID, leases[2].Job.ID}; !slices.Equal(got, []domain.JobID{"first", domain.JobID(bad.id), "last"}) {
		t.Fatalf("leased %.20q, want all three in order", got)
	}
	lease := &leases[1]
	if got := lease.Refused; (got == "") != (bad.refused == "") || !strings.HasPrefix(got, bad.refused) || len(got) > domain.MaxReason {
		t.Errorf("refused because of %.100q, want %q", got, bad.refused)
	}
	if bad.check != nil {
		bad.check(t, &lease.Job)
	}
	settlements := make([]domain.Settlement, len(leases))
	for i := range leases {
		settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
		if leases[i].Refused != "" {
			settlements[i].Outcome = domain.Outcome{Kind: domain.Failed, Reason: leases[i].Refused}
		}
	}
	reply, err := c.Settle(t.Context(), settlements, 0)
	if err != nil || !slices.Equal(reply.Statuses, []domain.SettleStatus{domain.Settled, domain.Settled, domain.Settled}) {
		t.Fatalf("Settle = %v, %v, want all settled", reply.Statuses, err)
	}
	r.wantList("bull:q:active")
	if n := r.rdb.ZCard(t.Context(), "bull:q:completed").Val(); n < 2 {
		t.Errorf("%d jobs completed, want the good ones", n)
	}
	r.wantKey(key+":lock", false)
	if after := r.rdb.Type(t.Context(), key).Val(); bad.stays && (after != kind || r.rdb.HExists(t.Context(), key, "failedReason").Val()) {
		t.Errorf("what was under the job's name is a %s, want the %s untouched", after, kind)
	}
}

func TestWorkersRecoverPastDamagedJobs(t *testing.T) {
	t.Parallel()
	for _, bad := range hostileJobs() {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, func(c *redisqueue.Config) { c.StalledInterval = time.Millisecond })
			if bad.id == "" {
				bad.id = "bad"
			}
			if bad.put != nil {
				bad.put(r, "bull:q:"+bad.id)
			}
			r.do("HSET bull:q:good name n timestamp 1", "RPUSH bull:q:active good")
			r.rdb.LPush(t.Context(), "bull:q:active", bad.id)
			c := r.consumer()
			recovered := recoverSome(t, c, 2)
			if !slices.ContainsFunc(recovered, func(r domain.Recovered) bool { return r.ID == "good" && r.Action == domain.Requeued }) {
				t.Errorf("Recover = %v, want the good job among them", recovered)
			}
			r.wantList("bull:q:active")
		})
	}
}

// recoverSome scans until n jobs came back.
func recoverSome(t *testing.T, c ports.Consumer, n int) []domain.Recovered {
	t.Helper()
	var recovered []domain.Recovered
	for until := time.Now().Add(10 * time.Second); len(recovered) < n; {
		some, err := c.Recover(t.Context())
		if err != nil || time.Now().After(until) {
			t.Fatalf("Recover = %v, %v, want %d jobs", recovered, err, n)
		}
		recovered = append(recovered, some...)
	}
	return recovered
}

func TestDueJobsPassDamagedOnes(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("ZADD bull:q:delayed -1 past -inf ever 0 epoch 1 list 4096 good inf never 1e300 late", "RPUSH bull:q:list x")
	for _, id := range []string{"past", "ever", "epoch", "good", "never", "late"} {
		r.do("HSET bull:q:" + id + " name n timestamp 1")
	}
	c := r.consumer()
	var ids []domain.JobID
	for len(ids) < 5 {
		for _, lease := range reserve(t, c, 10) {
			ids = append(ids, lease.Job.ID)
		}
	}
	slices.Sort(ids)
	if want := []domain.JobID{"epoch", "ever", "good", "list", "past"}; !slices.Equal(ids, want) {
		t.Errorf("leased %v, want %v", ids, want)
	}
	if left := r.rdb.ZRange(t.Context(), "bull:q:delayed", 0, -1).Val(); !slices.Equal(left, []string{"late", "never"}) {
		t.Errorf("delayed = %v, want those of the far future", left)
	}
}

func TestStrangeScoresDoNotSpin(t *testing.T) {
	t.Parallel()
	for _, score := range []string{"-1", "-inf", "0.5", "inf", "1e300", "9007199254740993"} {
		t.Run(score, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.do("HSET bull:q:meta paused 1", "ZADD bull:q:delayed "+score+" x "+score+" y", "ZADD bull:q:marker "+score+" 1")
			c := r.consumer()
			r.do("CONFIG RESETSTAT")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.Reserve(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Reserve of a paused queue = %v, want the end of its context", err)
			}
			if calls := r.calls("evalsha") + r.calls("bzpopmin"); calls > 10 {
				t.Errorf("%d calls in a second, want a few", calls)
			}
		})
	}
}
