package redisqueue_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

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
	for name, id := range map[string]string{"a key of the queue": "wait", "a job of its id": "b"} {
		t.Run(name, func(t *testing.T) {
			r := newRawQueue(t, nil)
			c := r.consumer()
			r.enqueue(keyed(domain.DedupKeepLast, 0))
			lease := reserve(t, c, 1)[0]
			r.add(domain.JobOptions{ID: "b"})
			r.do("HSET bull:q:dn:k name other data {} opts {} jid " + id)
			settle(t, c, lease)
			r.wantKey("bull:q:dn:k", false)
			r.wantList("bull:q:wait", "b")
			if got := r.rdb.HGet(t.Context(), "bull:q:b", "name").Val(); got != "n" {
				t.Errorf("name of job b = %s, want it as it was", got)
			}
		})
	}
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
