package redisqueue_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/redistest"
)

// schedule writes a job scheduler with its pending job, as BullMQ does.
func schedule(t *testing.T, client *redis.Client, at int64, repeat map[string]any, hash ...any) string {
	t.Helper()
	id := fmt.Sprintf("repeat:nightly:%d", at)
	opts, err := json.Marshal(map[string]any{"attempts": 3, "jobId": id, "repeat": repeat, "prevMillis": at, "repeatJobKey": "nightly"})
	if err != nil {
		t.Fatalf("Marshal = %v", err)
	}
	for _, command := range [][]any{
		{"ZADD", "bull:mail:repeat", at, "nightly"},
		append([]any{"HSET", "bull:mail:repeat:nightly", "name", "send", "ic", 1}, hash...),
		{"HSET", "bull:mail:" + id, "name", "send", "data", `{"n":1}`, "opts", string(opts), "timestamp", at, "delay", 0, "priority", 0, "rjk", "nightly"},
		{"LPUSH", "bull:mail:wait", id},
	} {
		if err := client.Do(t.Context(), command...).Err(); err != nil {
			t.Fatalf("%v = %v, want no error", command, err)
		}
	}
	return id
}

// leaseNext leases one job of the queue.
func leaseNext(t *testing.T, server *redistest.Server) {
	t.Helper()
	c, err := open(t, server, nil).OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	if _, err := c.Reserve(t.Context(), 1); err != nil {
		t.Fatalf("Reserve = %v, want a job", err)
	}
}

func TestLeasingAJobOfASchedulerAddsTheNext(t *testing.T) {
	t.Parallel()
	now := time.Now().UnixMilli()
	hour := int64(time.Hour / time.Millisecond)
	for name, c := range map[string]struct {
		at     int64
		repeat map[string]any
		hash   []any
		// next is the least and most of the next job's moment; zero for none.
		next [2]int64
		data string
	}{
		"an interval": {
			at: now - 5, repeat: map[string]any{"every": hour, "count": 1}, hash: []any{"every", hour, "offset", 7},
			next: [2]int64{now - 5 + hour, now - 5 + hour}, data: `{"n":1}`,
		},
		"an interval that was missed goes on in its grid": {
			at: now - 3*hour, repeat: map[string]any{"every": hour, "count": 1}, hash: []any{"every", hour, "offset", 7, "data", `{"t":1}`},
			next: [2]int64{now, now + hour + 10}, data: `{"t":1}`,
		},
		"a pattern": {
			at: now - 5, repeat: map[string]any{"pattern": "0 * * * *", "tz": "UTC", "count": 1},
			next: [2]int64{now / hour * hour, now/hour*hour + 2*hour}, data: `{"n":1}`,
		},
		"a pattern whose limit is reached": {
			at: now - 5, repeat: map[string]any{"pattern": "0 * * * *", "limit": 2, "count": 2},
		},
		"an interval past its end": {
			at: now - 5, repeat: map[string]any{"every": hour, "count": 1, "endDate": now - 1}, hash: []any{"every", hour},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			client := server.Client()
			schedule(t, client, c.at, c.repeat, c.hash...)
			leaseNext(t, server)

			delayed := client.ZRange(t.Context(), "bull:mail:delayed", 0, -1).Val()
			if c.next[0] == 0 {
				if len(delayed) != 0 {
					t.Errorf("delayed jobs = %v, want none", delayed)
				}
				return
			}
			if len(delayed) != 1 {
				t.Fatalf("delayed jobs = %v, want the next one", delayed)
			}
			moment, _ := strconv.ParseInt(strings.TrimPrefix(delayed[0], "repeat:nightly:"), 10, 64)
			last := c.next[1]
			if last > c.next[0] {
				last += time.Now().UnixMilli() - now // the job may have been leased long after the tests began
			}
			if moment < c.next[0] || moment > last {
				t.Errorf("next job is %s, want it between %d and %d", delayed[0], c.next[0], last)
			}
			job := client.HGetAll(t.Context(), "bull:mail:"+delayed[0]).Val()
			var opts struct {
				JobID, RepeatJobKey string
				Attempts, Delay     int64
				Repeat              struct{ Count int }
			}
			if err := json.Unmarshal([]byte(job["opts"]), &opts); err != nil {
				t.Fatalf("options of the next job = %s: %v", job["opts"], err)
			}
			if opts.JobID != delayed[0] || opts.RepeatJobKey != "nightly" || opts.Attempts != 3 || opts.Repeat.Count != 2 {
				t.Errorf("options of the next job = %s, want its id, its scheduler, three attempts and count 2", job["opts"])
			}
			if job["rjk"] != "nightly" || job["data"] != c.data || job["name"] != "send" {
				t.Errorf("next job = %v, want data %s of scheduler nightly", job, c.data)
			}
			if score := client.ZScore(t.Context(), "bull:mail:repeat", "nightly").Val(); int64(score) != moment {
				t.Errorf("scheduler is planned for %.0f, want %d", score, moment)
			}
			if ic := client.HGet(t.Context(), "bull:mail:repeat:nightly", "ic").Val(); ic != "2" {
				t.Errorf("iterations = %s, want 2", ic)
			}
		})
	}
}

func TestARetriedJobOfASchedulerDoesNotForkTheChain(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	now := time.Now().UnixMilli()
	id := schedule(t, client, now-5, map[string]any{"every": 3_600_000, "count": 1}, "every", 3_600_000)
	leaseNext(t, server)
	if err := client.RPush(t.Context(), "bull:mail:wait", id).Err(); err != nil {
		t.Fatalf("RPUSH = %v, want no error", err)
	}
	leaseNext(t, server)
	if n := client.ZCard(t.Context(), "bull:mail:delayed").Val(); n != 1 {
		t.Errorf("%d jobs are delayed, want 1", n)
	}
}

func TestASchedulerThatHasNothingToAddIsNoError(t *testing.T) {
	server, said := redistest.Start(t), &journal{}
	id := schedule(t, server.Client(), time.Now().UnixMilli(), map[string]any{"every": 3600000, "count": 1}, "every", 3600000)
	if err := server.Client().Del(t.Context(), "bull:mail:repeat").Err(); err != nil {
		t.Fatalf("DEL = %v, want no error", err)
	}
	backend := open(t, server, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	c, err := backend.OpenConsumer(ports.ConsumerOptions{Queue: "mail", Worker: "w", Lease: time.Minute})
	if err != nil {
		t.Fatalf("OpenConsumer = %v, want a consumer", err)
	}
	if leases := reserve(t, c, 1); string(leases[0].Job.ID) != id {
		t.Errorf("Reserve = job %s, want %s", leases[0].Job.ID, id)
	}
	if n := said.count("schedule not continued"); n != 0 {
		t.Errorf("%d errors in the log about a scheduler that was removed, want none", n)
	}
}
