package redisqueue_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/torture/proxy"
)

// scheduled is the queue "q" with the scheduler "s", whose first run is due at
// once and has a priority, and the second in an hour.
func scheduled(t *testing.T) (*rawQueue, *journal) {
	t.Helper()
	said := &journal{}
	r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour, Template: redisqueue.Template{Options: domain.JobOptions{Priority: 1}}})
	return r, said
}

// pending returns the run that the scheduler waits for, empty if its job is not
// there.
func (r *rawQueue) pending() string {
	r.Helper()
	state, err := r.queue().Scheduler(r.Context(), "s")
	if err != nil {
		r.Fatalf("Scheduler(s) = %v, want it", err)
	}
	if _, err := r.rdb.ZScore(r.Context(), "bull:q:delayed", string(state.Pending)).Result(); err != nil {
		return ""
	}
	return string(state.Pending)
}

// awaitPending waits until the scheduler's next job is there.
func (r *rawQueue) awaitPending(leased domain.JobID) {
	r.Helper()
	for until := time.Now().Add(20 * time.Second); ; {
		if run := r.pending(); run != "" && run != string(leased) {
			return
		}
		if time.Now().After(until) {
			r.Fatalf("the scheduler has no job after %s, want the next one", leased)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestSchedulesGoOnWhileTheMemoryOfRedisIsFull(t *testing.T) {
	r, said := scheduled(t)
	c := r.consumer()
	r.fillMemory()
	lease := reserve(t, c, 1)[0]
	settle(t, c, lease)
	if run := r.pending(); run == "" || run == string(lease.Job.ID) {
		t.Errorf("the scheduler waits for %q, want its next job there", run)
	}
	if n := said.count("schedule not continued"); n != 0 {
		t.Errorf("the log complains %d times, want never", n)
	}
}

// Whatever keeps a schedule from going on, its leased job is worked, and its
// next one comes when the way is free.
func TestASchedulesNextJobComesWhenItCan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil, mend []string
		// named is the key of which the log is to speak.
		named string
	}{
		"a right that is missing": {
			spoil: []string{"ACL SETUSER default -hlen"}, mend: []string{"ACL SETUSER default +hlen"},
		},
		"a definition that is something else": {
			spoil: []string{"RENAME bull:q:repeat:s kept", "RPUSH bull:q:repeat:s x"},
			mend:  []string{"RENAME kept bull:q:repeat:s"}, named: "bull:q:repeat:s",
		},
		"schedulers that are something else": {
			spoil: []string{"RENAME bull:q:repeat kept", "SET bull:q:repeat x"},
			mend:  []string{"RENAME kept bull:q:repeat"}, named: "bull:q:repeat",
		},
		"a counter of ids that is none": {
			spoil: []string{"SET bull:q:id x"}, mend: []string{"SET bull:q:id 5"}, named: "bull:q:id",
		},
		"a counter of ids at its end": {
			spoil: []string{"SET bull:q:id 9223372036854775807"}, mend: []string{"SET bull:q:id 5"}, named: "bull:q:id",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, said := scheduled(t)
			worker := r.consumer()
			r.do(c.spoil...)
			before := r.dump()
			lease := reserve(t, worker, 1)[0]
			if lease.For < 20*time.Second {
				t.Errorf("the lease lasts %s, want nearly 30s", lease.For)
			}
			r.wantTouched(before, r.dump(), "bull:q:active", "bull:q:prioritized", "bull:q:marker", "bull:q:events", "bull:q:meta", "bull:q:pc", "bull:q:repeat:s:", "takt:")
			settle(t, worker, lease)
			if said.count("schedule not continued yet") != 1 {
				t.Errorf("the log says %q, want once that the schedule is late", said.read())
			}
			if c.named != "" && !strings.Contains(said.read(), "("+c.named+")") {
				t.Errorf("the log says %q, want it to name %s", said.read(), c.named)
			}
			r.do(c.mend...)
			r.awaitPending(lease.Job.ID)
		})
	}
}

func (j *journal) read() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(bytes.Clone(j.text.Bytes()))
}

// wantTouched checks that of two dumps only keys differ that begin with one of
// the names.
func (r *rawQueue) wantTouched(before, after map[string]string, names ...string) {
	r.Helper()
	all := map[string]bool{}
	for key := range before {
		all[key] = before[key] != after[key]
	}
	for key := range after {
		all[key] = before[key] != after[key]
	}
next:
	for key, differs := range all {
		if !differs {
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(key, name) {
				continue next
			}
		}
		r.Errorf("%s has changed, want it as it was", key)
	}
}

// A counter of priorities, or of a scheduler's iterations, that is none begins
// anew: nothing hangs on it.
func TestSchedulesCountAnewWhenTheirCountersAreNone(t *testing.T) {
	r, said := scheduled(t)
	r.do("HSET bull:q:repeat:s ic x", "DEL bull:q:pc", "RPUSH bull:q:pc x")
	lease := reserve(t, r.consumer(), 1)[0]
	if run := r.pending(); run == "" || run == string(lease.Job.ID) {
		t.Errorf("the scheduler waits for %q, want its next job there", run)
	}
	if ic := r.rdb.HGet(t.Context(), "bull:q:repeat:s", "ic").Val(); ic != "1" {
		t.Errorf("iterations = %s, want them counted anew", ic)
	}
	if n := said.count("schedule not continued"); n != 0 {
		t.Errorf("the log complains %d times, want never", n)
	}
}

// A stream at the end of its ids refuses every event, when half of the work may
// be done.
func TestASchedulesNextJobIsThereWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r, said := scheduled(t)
	c := r.consumer()
	lease := reserve(t, c, 1)[0]
	next := r.pending()
	// The same once more, in a queue that takes no events.
	r.do("ZADD bull:q:repeat "+strings.TrimPrefix(string(lease.Job.ID), "repeat:s:")+" s", "DEL bull:q:"+next, "ZREM bull:q:delayed "+next,
		"XADD bull:q:events 18446744073709551615-18446744073709551615 event x")
	before := r.dump()
	_, err := r.rdb.Eval(t.Context(), sourceOf(t, "continue"), []string{"bull:q:meta", "bull:q:repeat"},
		"bull:q:", "v5", "s", string(lease.Job.ID), "", "s", "{", "{}", 0).Result()
	if err == nil {
		t.Fatal("continue.lua = no error, want one: the events are full")
	}
	r.wantTouched(before, r.dump(), "bull:q:events")
	r.do("DEL bull:q:events")
	if n := said.count("schedule not continued"); n != 0 {
		t.Errorf("the log complains %d times, want never", n)
	}
}

// A run that is too large for a worker to take is refused, and the next one is
// planned: a later one may be smaller.
func TestASchedulesLargeRunHasASuccessor(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct {
		name, data string
		spoil      []string
	}{
		"with a template":       {name: "n", data: strings.Repeat("x", 4<<10)},
		"with data in the job":  {name: "n", data: strings.Repeat("x", 4<<10), spoil: []string{"HDEL bull:q:repeat:s data"}},
		"with a name too large": {name: strings.Repeat("n", 5<<10), data: "x"},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			said := &journal{}
			r := newRawQueue(t, func(config *redisqueue.Config) {
				config.MaxPayload, config.Log = 1<<10, slog.New(slog.NewTextHandler(said, nil))
			})
			r.upsert(redisqueue.Scheduler{ID: "s", Every: time.Hour})
			first := r.rdb.LRange(t.Context(), "bull:q:wait", 0, -1).Val()[0]
			data := `{"text":"` + c.data + `"}`
			r.do("HSET bull:q:"+first+" name "+c.name+" data "+data, "HSET bull:q:repeat:s name "+c.name+" data "+data)
			r.do(c.spoil...)
			lease := reserve(t, r.consumer(), 1)[0]
			if !strings.HasPrefix(lease.Refused, "job is too large") {
				t.Errorf("refused because of %q, want its size", lease.Refused)
			}
			next := r.pending()
			if next == "" || next == first {
				t.Fatalf("the scheduler waits for %q, want its next job there: %s", next, said.read())
			}
			fields := r.rdb.HGetAll(t.Context(), "bull:q:"+next).Val()
			if fields["name"] != c.name || fields["data"] != data || !strings.Contains(fields["opts"], `"count":2`) {
				t.Errorf("the next job is %.200q, want the name, the data and the second count", fields)
			}
		})
	}
}

func TestAConsumerThatClosesTriesLateSchedulesOnceMore(t *testing.T) {
	for name, mended := range map[string]bool{"in vain": false, "with success": true} {
		t.Run(name, func(t *testing.T) {
			r, said := scheduled(t)
			lease := reserve(t, late(r), 1)[0]
			if mended {
				r.do("SET bull:q:id 5")
			}
			if err := r.backend.Close(); err != nil {
				t.Fatalf("Close = %v, want no error", err)
			}
			gaveUp := said.count("schedule not continued: it makes no further jobs")
			if run := r.rdb.ZCard(t.Context(), "bull:q:delayed").Val(); (run == 1) != mended || (gaveUp == 1) == mended {
				t.Errorf("%d jobs follow %s, and the log gives up %d times: %s", run, lease.Job.ID, gaveUp, said.read())
			}
		})
	}
}

// late returns a consumer of a queue whose schedules cannot go on.
func late(r *rawQueue) ports.Consumer {
	r.Helper()
	r.do("SET bull:q:id x")
	return r.consumer()
}

// A schedule that cannot go on because the server does not answer keeps leases
// waiting for a moment, and not until they run out.
func TestLeasesDoNotWaitForTheirSchedules(t *testing.T) {
	t.Parallel()
	r, _ := scheduled(t)
	p := proxy.Start(t, r.server.Addr)
	backend := open(t, r.server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "q", Worker: "w", Lease: 30 * time.Second})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	sum := sha1.Sum([]byte(sourceOf(t, "continue")))
	name := []byte(hex.EncodeToString(sum[:]))
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if bytes.Contains(e.Request, name) {
			return proxy.Verdict{Kind: proxy.DropRequest}
		}
		return proxy.Verdict{}
	})
	lease := reserve(t, c, 1)[0]
	if n := p.Count(proxy.DropRequest); n == 0 {
		t.Error("the schedule was not to be continued, want the call dropped")
	}
	settle(t, c, lease)
	if run := r.pending(); run != "" {
		t.Errorf("the scheduler waits for %s, want nothing there yet", run)
	}
	p.Set(nil)
	r.awaitPending(lease.Job.ID)
}
