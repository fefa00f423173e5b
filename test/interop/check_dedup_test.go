package interop_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// dedupNode and dedupTakt add a job with a deduplication key; ttl of zero is
// none. They return the id that the producer is told.
func dedupNode(l *lab, queue *node.Queue, key string, ttl time.Duration) string {
	l.t.Helper()
	opts := node.Opts{"id": key}
	if ttl > 0 {
		opts["ttl"] = ttl.Milliseconds()
	}
	return queue.Add("send", node.Opts{}, node.Opts{"deduplication": opts}).ID
}

func dedupTakt(l *lab, key string, ttl time.Duration) string {
	l.t.Helper()
	options := domain.JobOptions{Deduplication: domain.Deduplication{Key: key, TTL: ttl}}
	return string(l.putAll(job("send", `{}`, options))[0].ID)
}

func TestCheck64_ADeduplicationKeyCountsForBothProducers(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		const throttle = time.Minute
		for i, ttl := range []time.Duration{0, throttle} {
			for j, order := range []string{"nt", "tn", "tt"} {
				dedup := "k" + strconv.Itoa(3*i+j)
				ids := []string{}
				for _, who := range order {
					if who == 'n' {
						ids = append(ids, dedupNode(l, queue, dedup, ttl))
					} else {
						ids = append(ids, dedupTakt(l, dedup, ttl))
					}
				}
				if ids[0] != ids[1] {
					t.Errorf("%s: ids = %v, want the owner's twice", order, ids)
				}
				l.wantHash(ids[0], map[string]string{"deid": dedup})
				if owner := must(t, l.redis.Get(t.Context(), key("de:"+dedup))); owner != ids[0] {
					t.Errorf("%s: owner = %s, want %s", order, owner, ids[0])
				}
				if left := must(t, l.redis.PTTL(t.Context(), key("de:"+dedup))); (ttl == 0) != (left == -1) || left > throttle {
					t.Errorf("%s: the key lasts %s, want %s", order, left, ttl)
				}
				dropped := must(t, l.redis.Get(t.Context(), key("id")))
				l.wantDeduplicated(ids[0], dedup, dropped)
			}
		}
		if n := len(l.stream("added")); n != 6 {
			t.Errorf("%d jobs were added, want the 6 owners", n)
		}
	})
}

// wantDeduplicated checks the latest events of a dropped job.
func (l *lab) wantDeduplicated(owner, key, dropped string) {
	l.t.Helper()
	events := l.stream("debounced", "deduplicated")
	last := events[len(events)-1]
	want := entry{"event": "deduplicated", "jobId": owner, "deduplicationId": key, "deduplicatedJobId": dropped}
	if last.line() != want.line() || last["jobId"] != owner {
		l.t.Errorf("event = %v, want %v", last, want)
	}
	before := entry{}
	if len(events) > 1 {
		before = events[len(events)-2]
	}
	if debounced := before["event"] == "debounced" && before["debounceId"] == key; debounced == l.v6() {
		l.t.Errorf("events = %v, want debounced before deduplicated only in 5.x", events)
	}
}

// What Node's worker makes of an owner that Takt added.
func TestCheck64_NodesOtherModesAcceptAnOwnerFromTakt(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		owner := dedupTakt(l, "extend", time.Minute)
		must(t, l.redis.PExpire(t.Context(), key("de:extend"), 30*time.Second))
		got := queue.Add("send", 1, node.Opts{"deduplication": node.Opts{"id": "extend", "ttl": 60_000, "extend": true}}).ID
		if left := must(t, l.redis.PTTL(t.Context(), key("de:extend"))); got != owner || left < 50*time.Second {
			t.Errorf("extend: id = %s, the key lasts %s, want the owner %s and a minute", got, left, owner)
		}

		owner = string(l.putAll(job("send", `{}`, domain.JobOptions{
			Delay: time.Hour, Deduplication: domain.Deduplication{Key: "replace"},
		}))[0].ID)
		got = queue.Add("send", 2, node.Opts{"delay": 3_600_000, "deduplication": node.Opts{"id": "replace", "replace": true}}).ID
		if got == owner || l.has(owner) || must(t, l.redis.Get(t.Context(), key("de:replace"))) != got {
			t.Errorf("replace: id = %s, owner %s is there: %t, want it replaced", got, owner, l.has(owner))
		}
		l.work(work{handlers: handlers{"send": echo}})
		queue.OnJob(got, "promote")
		l.awaitIn("completed", got)
		if l.has("de:replace") {
			t.Error("the key of the replacing job is still there after its end")
		}
	})
}

func TestCheck65_TheEndOfTheOwnerFreesASimpleKeyAndKeepsAThrottle(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		dedupNode(l, queue, "simple", 0)
		dedupNode(l, queue, "throttle", time.Minute)
		failed := queue.Add("bad", node.Opts{}, node.Opts{"deduplication": node.Opts{"id": "failed"}}).ID
		l.work(work{handlers: handlers{"send": echo, "bad": fails(errBusy)}})
		l.awaitCount("completed", 2)
		l.awaitIn("failed", failed)
		if l.has("de:simple") || l.has("de:failed") {
			t.Error("a simple key is still there after the end of its owner")
		}
		if !l.has("de:throttle") {
			t.Error("the throttle's key is gone before its time")
		}
	})
}

func TestCheck65_NodeFreesTheKeyOfTaktsJob(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		dedupTakt(l, "simple", 0)
		dedupTakt(l, "throttle", time.Minute)
		l.Worker("mail", node.Steps{}).Await(t, 2, "completed")
		if l.has("de:simple") || !l.has("de:throttle") {
			t.Errorf("simple key there: %t, throttle there: %t, want only the throttle", l.has("de:simple"), l.has("de:throttle"))
		}
	})
}

// 5.70.1 does not know the mode.
func TestCheck66_JobsAddedDuringARunBecomeOneNextJob(t *testing.T) {
	forSome(t, full, []string{node.V5Last, node.V6}, func(t *testing.T, l *lab) {
		queue, release, order := l.Queue("mail"), make(chan struct{}), &journal{}
		add := func(data int) string {
			return queue.Add("send", data, node.Opts{"deduplication": node.Opts{"id": "k", "keepLastIfActive": true}}).ID
		}
		owner := add(0)
		l.work(work{handlers: handlers{"send": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			_, _ = order.note(ctx, job)
			return holds(release)(ctx, job)
		}}})
		await(t, "the owner to run", func() bool { return len(order.ids()) == 1 })
		for data := range 3 {
			if id := add(data + 1); id != owner {
				t.Errorf("id = %s, want the owner's %s", id, owner)
			}
		}
		close(release)
		l.awaitCount("completed", 2)
		jobs := order.seen()
		if len(jobs) != 2 || string(jobs[1].Data) != "3" {
			t.Errorf("jobs = %+v, want the owner and one with the last data", jobs)
		}
		if l.has("de:k") || l.has("dn:k") {
			t.Error("a key of the deduplication is left")
		}
	})
}
