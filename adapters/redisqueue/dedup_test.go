package redisqueue_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/torture/proxy"
)

func keyed(mode domain.DeduplicationMode, delay time.Duration) domain.NewJob {
	return domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{
		Delay: delay, Deduplication: domain.Deduplication{Key: "k", Mode: mode},
	}}
}

// enqueue adds a job and returns what it is answered.
func (r *rawQueue) enqueue(job domain.NewJob) domain.EnqueueResult {
	r.Helper()
	results, err := r.backend.Enqueue(r.Context(), job)
	if err != nil {
		r.Fatalf("Enqueue = %v, want no error", err)
	}
	return results[0]
}

func TestAnOwnerThatIsAKeyOfTheQueueIsLeftAlone(t *testing.T) {
	r := newRawQueue(t, nil)
	for _, mode := range []domain.DeduplicationMode{domain.DedupReplace, domain.DedupReschedule} {
		r.do("HSET bull:q:meta opts.maxLenEvents 10", "SET bull:q:de:k meta", "ZADD bull:q:delayed 5 meta")
		if got := r.enqueue(keyed(mode, time.Hour)); got.Status != domain.Deduplicated || got.ID != "meta" {
			t.Errorf("%s: %v %s, want it dropped for the owner", mode, got.Status, got.ID)
		}
		if meta := r.rdb.HGetAll(t.Context(), "bull:q:meta").Val(); meta["opts.maxLenEvents"] != "10" || meta["delay"] != "" {
			t.Errorf("%s: meta = %v, want it as it was", mode, meta)
		}
	}
}

func TestARescheduledOwnerWithoutAHashGetsNone(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("SET bull:q:de:k gone PX 60000", "ZADD bull:q:delayed 5 gone")
	r.enqueue(keyed(domain.DedupReschedule, time.Hour))
	r.wantKey("bull:q:gone", false)
}

func TestAReplacedOwnerLeavesNothing(t *testing.T) {
	r := newRawQueue(t, nil)
	owner := string(r.enqueue(keyed(domain.DedupReplace, time.Hour)).ID)
	for _, part := range []string{":dependencies", ":processed", ":failed", ":unsuccessful", ":logs"} {
		r.do("SET bull:q:" + owner + part + " x")
	}
	r.do("DEL bull:q:"+owner, "LPUSH bull:q:"+owner+" x")
	r.enqueue(keyed(domain.DedupReplace, time.Hour))
	for _, part := range []string{"", ":dependencies", ":processed", ":failed", ":unsuccessful", ":logs"} {
		r.wantKey("bull:q:"+owner+part, false)
	}
}

func TestWhatIsKeptReplacesWhateverWasThere(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.enqueue(keyed(domain.DedupKeepLast, 0))
	lease := reserve(t, c, 1)[0]
	r.do("LPUSH bull:q:dn:k x")
	r.enqueue(keyed(domain.DedupKeepLast, 0))
	settle(t, c, lease)
	settle(t, c, reserve(t, c, 1)[0])
	r.wantKey("bull:q:de:k", false)
	r.wantKey("bull:q:dn:k", false)
}

func TestAKeptJobThatIsNoneIsDropped(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.enqueue(keyed(domain.DedupKeepLast, 0))
	lease := reserve(t, c, 1)[0]
	r.add(domain.JobOptions{ID: "b"})
	r.do("HSET bull:q:dn:k name other data {} opts {} jid b")
	r.events()
	settle(t, c, lease)
	r.wantKey("bull:q:dn:k", false)
	r.wantList("bull:q:wait", "b")
	if got := r.rdb.HGet(t.Context(), "bull:q:b", "name").Val(); got != "n" {
		t.Errorf("name of job b = %s, want it as it was", got)
	}
	if got := r.events(); !slices.Contains(got, "duplicated b") {
		t.Errorf("events = %q, want one that tells of the job that was dropped", got)
	}
}

// A kept job without an id that it could have takes the queue's next one that
// is free.
func TestAKeptJobWithoutAnIDTakesTheNext(t *testing.T) {
	for name, fields := range map[string]string{"none": "", "empty": "jid", "a key of the queue": "jid wait"} {
		t.Run(name, func(t *testing.T) {
			r := newRawQueue(t, nil)
			c := r.consumer()
			r.enqueue(keyed(domain.DedupKeepLast, 0))
			lease := reserve(t, c, 1)[0]
			r.do("HSET bull:q:dn:k name other data {} opts {}", "RPUSH bull:q:2 x")
			if fields == "jid" {
				r.rdb.HSet(t.Context(), "bull:q:dn:k", "jid", "")
			} else if fields != "" {
				r.do("HSET bull:q:dn:k " + fields)
			}
			settle(t, c, lease)
			r.wantKey("bull:q:dn:k", false)
			r.wantList("bull:q:wait", "3")
			if job := reserve(t, c, 1)[0].Job; job.Name != "other" {
				t.Errorf("job 3 is named %s, want the kept job", job.Name)
			}
			if owner := r.rdb.Get(t.Context(), "bull:q:de:k").Val(); owner != "3" {
				t.Errorf("the key's owner is %q, want 3", owner)
			}
		})
	}
}

// What keeps a kept job from being added is told, and it is kept.
func TestAKeptJobThatCannotBeAddedIsTold(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]string{
		"bull:q:id": "SET bull:q:id x", "bull:q:dn:k": "SET bull:q:dn:k x", "bull:q:de:k": "RPUSH bull:q:de:k x",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			said := &journal{}
			r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
			c := r.consumer()
			r.enqueue(keyed(domain.DedupKeepLast, 0))
			lease := reserve(t, c, 1)[0]
			r.do("HSET bull:q:dn:k name other data {} opts {}", "DEL "+key, spoil)
			settle(t, c, lease)
			if !strings.Contains(said.read(), "outcome written beside damaged keys") || !strings.Contains(said.read(), "("+key+")") {
				t.Errorf("the log says %q, want it to name %s", said.read(), key)
			}
			r.wantKey("bull:q:dn:k", true)
		})
	}
}

// What a kept job says of its parent may be anything.
func TestAKeptJobIsLinkedToNothingOutsideItsPrefix(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.enqueue(keyed(domain.DedupKeepLast, 0))
	lease := reserve(t, c, 1)[0]
	r.do("HSET bull:q:dn:k name other data {} opts {} jid b pk other:q:p pd {} pdk other:q:set")
	settle(t, c, lease)
	r.wantList("bull:q:wait", "b")
	r.wantKey("other:q:set", false)
	r.wantKey("other:q:p:dependencies", false)
}

// A parent does not wait for a child that another job has replaced.
func TestAReplacedChildReleasesItsParent(t *testing.T) {
	r := newRawQueue(t, nil)
	job := keyed(domain.DedupReplace, 0)
	job.Options.Delay = time.Hour
	r.enqueue(job)
	r.parent("p")
	r.do("HSET bull:q:1 parentKey bull:q:p parent {}", "SADD bull:q:p:dependencies bull:q:1")
	r.enqueue(job)
	r.wantKey("bull:q:p:dependencies", false)
	r.wantList("bull:q:wait", "p")
}

func TestOwnersThatEndTogetherAreEachFollowed(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	keys := []string{"x", "y"}
	add := func(data string) {
		for _, key := range keys {
			job := keyed(domain.DedupKeepLast, 0)
			job.Data, job.Options.Deduplication.Key = []byte(data), key
			r.enqueue(job)
		}
		r.enqueue(domain.NewJob{Queue: "q", Name: "plain"})
	}
	add("1")
	leases := reserve(t, c, 3)
	for len(leases) < 3 {
		leases = append(leases, reserve(t, c, 3-len(leases))...)
	}
	add("2")
	settlements := make([]domain.Settlement, len(leases))
	for i := range leases {
		settlements[i] = domain.Settlement{Lease: leases[i].Ref(), Outcome: domain.Outcome{Kind: domain.Completed}}
	}
	reply, err := c.Settle(t.Context(), settlements, 5)
	if err != nil || len(reply.Leases) != 3 {
		t.Fatalf("Settle = %d leases, %v, want a plain job and the two that follow", len(reply.Leases), err)
	}
	for i := range reply.Leases {
		job := &reply.Leases[i].Job
		if job.Name == "n" && string(job.Data) != "2" {
			t.Errorf("job %s has data %s, want those that came last", job.ID, job.Data)
		}
		settle(t, c, reply.Leases[i])
	}
	for _, key := range keys {
		r.wantKey("bull:q:de:"+key, false)
		r.wantKey("bull:q:dn:"+key, false)
	}
}

// loseOne drops the reply to the next script call, which is carried out.
func loseOne(p *proxy.Proxy) {
	lost := false
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if lost || !bytes.Contains(e.Request[:min(len(e.Request), 64)], []byte("eval")) {
			return proxy.Verdict{}
		}
		lost = true
		return proxy.Verdict{Kind: proxy.DropReply}
	})
}

func TestALostReplyDeduplicatesOnce(t *testing.T) {
	backend, p, _ := unsteady(t)
	queue, err := backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	enqueue := func() domain.EnqueueResult {
		t.Helper()
		results, err := backend.Enqueue(t.Context(), keyed(domain.DedupReplace, time.Hour))
		if err != nil {
			t.Fatalf("Enqueue = %v, want no error", err)
		}
		return results[0]
	}
	// The server learns the scripts: later calls are carried out at once.
	enqueue()
	if _, err := queue.FreeDeduplication(t.Context(), "other"); err != nil {
		t.Fatalf("FreeDeduplication = %v, want no error", err)
	}
	loseOne(p)
	if got := enqueue(); got.Status != domain.Accepted || got.ID != "2" {
		t.Errorf("Enqueue = %v %s, want job 2 accepted", got.Status, got.ID)
	}
	counts, err := backend.Counts(t.Context(), "q")
	if err != nil || counts[0].Jobs[domain.StateDelayed] != 1 {
		t.Errorf("Counts = %v, %v, want the one job that replaced the first", counts, err)
	}
	loseOne(p)
	if freed, err := queue.FreeDeduplication(t.Context(), "k"); err != nil || !freed {
		t.Errorf("FreeDeduplication = %t, %v, want it freed", freed, err)
	}
	if n := p.Count(proxy.DropReply); n != 2 {
		t.Errorf("%d replies were lost, want 2", n)
	}
}

func TestQueue_freesADeduplicationKey(t *testing.T) {
	r := newRawQueue(t, nil)
	queue, err := r.backend.Queue("q")
	if err != nil {
		t.Fatal(err)
	}
	owner := r.enqueue(keyed(domain.DedupDrop, 0)).ID
	if got, err := queue.DeduplicationOwner(t.Context(), "k"); err != nil || got != owner {
		t.Errorf("DeduplicationOwner = %s, %v, want %s", got, err, owner)
	}
	if freed, err := queue.FreeDeduplicationOf(t.Context(), owner); err != nil || !freed {
		t.Errorf("FreeDeduplicationOf = %t, %v, want it freed", freed, err)
	}
	if got, err := queue.DeduplicationOwner(t.Context(), "k"); !errors.Is(err, ports.ErrNotFound) {
		t.Errorf("DeduplicationOwner = %s, %v, want %v", got, err, ports.ErrNotFound)
	}
	r.do("LPUSH bull:q:de:k x", "LPUSH bull:q:bad x")
	_, err = queue.DeduplicationOwner(t.Context(), "k")
	wantLoud(t, "DeduplicationOwner", err)
	_, err = queue.FreeDeduplication(t.Context(), "k")
	wantLoud(t, "FreeDeduplication", err)
	_, err = queue.FreeDeduplicationOf(t.Context(), "bad")
	wantLoud(t, "FreeDeduplicationOf", err)
}
