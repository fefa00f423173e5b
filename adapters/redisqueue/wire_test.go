package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// picture returns everything under the prefix as text, one entry for each key.
func (r *rawQueue) picture() map[string]string {
	r.Helper()
	picture := map[string]string{}
	for key, held := range r.held("bull:*") {
		switch held.kind {
		case "stream":
			continue
		case "string", "hash", "list", "zset":
		default:
			r.Fatalf("%s is a %s, which no queue has", key, held.kind)
		}
		picture[key] = held.text
		if ttl := r.rdb.PTTL(r.Context(), key).Val(); ttl > 0 {
			picture[key] += " for a time"
		}
	}
	return picture
}

// holding is what kind of key one is, and what is there as text.
type holding struct{ kind, text string }

// held returns what the keys of the pattern hold, in three trips to the server
// however many they are.
func (r *rawQueue) held(pattern string) map[string]holding {
	r.Helper()
	all := map[string]holding{}
	keys := r.rdb.Keys(r.Context(), pattern).Val()
	kinds, texts := make([]*redis.StatusCmd, len(keys)), make([]func() string, len(keys))
	r.together(func(pipe redis.Pipeliner) {
		for i, key := range keys {
			kinds[i] = pipe.Type(r.Context(), key)
		}
	})
	r.together(func(pipe redis.Pipeliner) {
		for i, key := range keys {
			texts[i] = r.text(pipe, kinds[i].Val(), key)
		}
	})
	for i, key := range keys {
		all[key] = holding{kind: kinds[i].Val(), text: texts[i]()}
	}
	return all
}

// together sends the commands at once. Keys may be gone by now: their values are
// nothing then.
func (r *rawQueue) together(send func(redis.Pipeliner)) {
	r.Helper()
	pipe := r.rdb.Pipeline()
	send(pipe)
	if _, err := pipe.Exec(r.Context()); err != nil && !errors.Is(err, redis.Nil) {
		r.Fatalf("EXEC = %v, want no error", err)
	}
}

// text asks for what a key of the kind holds, and returns how to tell it once that
// is answered.
func (r *rawQueue) text(pipe redis.Pipeliner, kind, key string) func() string {
	r.Helper()
	switch kind {
	case "string":
		value := pipe.Get(r.Context(), key)
		return func() string { return fmt.Sprint(value.Val()) }
	case "hash":
		value := pipe.HGetAll(r.Context(), key)
		return func() string { return fmt.Sprint(value.Val()) }
	case "list":
		value := pipe.LRange(r.Context(), key, 0, -1)
		return func() string { return fmt.Sprint(value.Val()) }
	case "set":
		value := pipe.SMembers(r.Context(), key)
		return func() string { return fmt.Sprint(slices.Sorted(slices.Values(value.Val()))) }
	case "zset":
		value := askScores(r.Context(), pipe, key)
		return func() string { return scoresOf(value) }
	case "stream":
		value := pipe.XRange(r.Context(), key, "-", "+")
		return func() string { return fmt.Sprint(value.Val()) }
	}
	return func() string { return "" }
}

// scores returns the members of a sorted set with their scores as Redis writes
// them: readers join their text.
func (r *rawQueue) scores(key string) string {
	r.Helper()
	answer := askScores(r.Context(), r.rdb, key)
	if err := answer.Err(); err != nil {
		r.Fatalf("ZRANGE %s = %v, want its members", key, err)
	}
	return scoresOf(answer)
}

// asked is a client, or a pipeline.
type asked interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

func askScores(ctx context.Context, client asked, key string) *redis.StringSliceCmd {
	answer := redis.NewStringSliceCmd(ctx, "ZRANGE", key, 0, -1, "WITHSCORES")
	_ = client.Process(ctx, answer) // the answer has the error, too
	return answer
}

func scoresOf(answer *redis.StringSliceCmd) string {
	var pairs []string
	for pair := range slices.Chunk(answer.Val(), 2) {
		pairs = append(pairs, strings.Join(pair, "="))
	}
	return strings.Join(pairs, " ")
}

// wantPicture compares the keys with what is wanted, in which T is the time at
// which the jobs came.
func (r *rawQueue) wantPicture(about string, at int64, want map[string]string) {
	r.Helper()
	for key, value := range want {
		want[key] = strings.ReplaceAll(value, "$T", strconv.FormatInt(at, 10))
	}
	if diff := cmp.Diff(want, r.picture()); diff != "" {
		r.Errorf("%s (-want +got):\n%s", about, diff)
	}
}

func (r *rawQueue) field(id, name string) string {
	r.Helper()
	return r.rdb.HGet(r.Context(), "bull:q:"+id, name).Val()
}

// The worked example of the protocol, appendix B: three jobs, of which a
// worker completes the first.
func TestTheWireIsThatOfTheWorkedExample(t *testing.T) {
	r := newRawQueue(t, func(c *redisqueue.Config) { c.MetricsMinutes = 10 })
	_, err := r.backend.Enqueue(t.Context(),
		domain.NewJob{Queue: "q", Name: "n", Data: []byte(`{"i":1}`)},
		domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{Priority: 7}},
		domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{Delay: time.Minute}},
	)
	if err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	at, _ := strconv.ParseInt(r.field("1", "timestamp"), 10, 64)
	if off := time.Since(time.UnixMilli(at)).Abs(); off > time.Minute {
		t.Errorf("timestamp = %d, want now in ms", at)
	}
	due := at + time.Minute.Milliseconds()
	want := map[string]string{
		"bull:q:id":          "3",
		"bull:q:meta":        "map[opts.maxLenEvents:10000]",
		"bull:q:1":           `map[data:{"i":1} delay:0 name:n opts:{"attempts":0} priority:0 timestamp:$T]`,
		"bull:q:2":           `map[data:{} delay:0 name:n opts:{"attempts":0,"priority":7} priority:7 timestamp:$T]`,
		"bull:q:3":           `map[data:{} delay:60000 name:n opts:{"attempts":0,"delay":60000} priority:0 timestamp:$T]`,
		"bull:q:wait":        "[1]",
		"bull:q:prioritized": "2=30064771073",
		"bull:q:pc":          "1",
		"bull:q:delayed":     fmt.Sprintf("3=%d", due*4096),
		"bull:q:marker":      fmt.Sprintf("0=0 1=%d", due),
	}
	if version := r.field("meta", "version"); version != "" {
		want["bull:q:meta"] = "map[opts.maxLenEvents:10000 version:" + version + "]"
	}
	r.wantPicture("after the adds", at, want)
	r.wantEvents("added 1 n", "waiting 1", "added 2 n", "waiting 2", "added 3 n", fmt.Sprintf("delayed 3 %d", due))

	c := r.consumer()
	lease := reserve(t, c, 1)[0]
	started := r.field("1", "processedOn")
	token := r.rdb.Get(t.Context(), "bull:q:1:lock").Val()
	want["bull:q:1"] = `map[ats:1 data:{"i":1} delay:0 name:n opts:{"attempts":0} pb:w priority:0 processedOn:` + started + ` timestamp:$T]`
	want["bull:q:active"], want["bull:q:1:lock"] = "[1]", token+" for a time"
	delete(want, "bull:q:wait")
	if token != string(lease.Token) || token == "" || token == "0" {
		t.Errorf("the lock holds %q, want the token %q of the lease", token, lease.Token)
	}
	r.wantPicture("while it is worked", at, want)
	r.wantEvents("active 1 waiting")

	settleOne(t, c, &lease, domain.Outcome{Kind: domain.Completed, Result: []byte(`{"ok":1}`)})
	ended := r.field("1", "finishedOn")
	want["bull:q:1"] = `map[atm:1 ats:1 data:{"i":1} delay:0 finishedOn:` + ended + ` name:n opts:{"attempts":0} pb:w priority:0 processedOn:` +
		started + ` returnvalue:{"ok":1} timestamp:$T]`
	want["bull:q:completed"] = "1=" + ended
	want["bull:q:metrics:completed"] = "map[count:1 prevCount:0 prevTS:" + ended + "]"
	delete(want, "bull:q:active")
	delete(want, "bull:q:1:lock")
	r.wantPicture("after it was completed", at, want)
	r.wantEvents(`completed 1 {"ok":1} active`)
}

func TestJobsDueInOneMillisecondKeepTheirOrder(t *testing.T) {
	r := newRawQueue(t, nil)
	jobs := make([]domain.NewJob, 3)
	for i := range jobs {
		jobs[i] = domain.NewJob{Queue: "q", Name: "n", Options: domain.JobOptions{Delay: time.Hour}}
	}
	if _, err := r.backend.Enqueue(t.Context(), jobs...); err != nil {
		t.Fatalf("Enqueue = %v, want no error", err)
	}
	at, _ := strconv.ParseInt(r.field("1", "timestamp"), 10, 64)
	low := (at + time.Hour.Milliseconds()) * 4096
	if got, want := r.scores("bull:q:delayed"), fmt.Sprintf("1=%d 2=%d 3=%d", low, low+1, low+2); got != want {
		t.Errorf("delayed = %s, want %s", got, want)
	}
}

func TestAFailureLeavesWhatToolsRead(t *testing.T) {
	r := newRawQueue(t, nil)
	c := r.consumer()
	r.add(domain.JobOptions{ID: "a", Attempts: 2, Backoff: domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Hour}})
	lease := reserve(t, c, 1)[0]
	r.events()
	settleOne(t, c, &lease, domain.Outcome{Kind: domain.Retry, After: time.Hour, Reason: `a "b"`, Stack: "at x"})
	now, _ := strconv.ParseInt(r.field("a", "processedOn"), 10, 64)
	events := r.events()
	due, _ := strconv.ParseInt(strings.TrimPrefix(events[0], "delayed a "), 10, 64)
	if len(events) != 1 || due-now < time.Hour.Milliseconds() || due-now > (time.Hour+10*time.Second).Milliseconds() {
		t.Errorf("events = %q, want one with the time at which the job is due", events)
	}
	if got := r.scores("bull:q:delayed"); got != fmt.Sprintf("a=%d", due*4096) {
		t.Errorf("delayed = %s, want a at %d", got, due*4096)
	}
	for name, want := range map[string]string{
		"failedReason": `a "b"`, "stacktrace": `["Error: a \"b\"\nat x"]`, "atm": "1", "ats": "1", "delay": "3600000",
	} {
		if got := r.field("a", name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	r.apply(domain.Operation{Kind: domain.OpPromote}, "a")
	lease = reserve(t, c, 1)[0]
	r.events()
	settleOne(t, c, &lease, domain.Outcome{Kind: domain.Failed, Reason: "no"})
	r.wantEvents("failed a no active", "retries-exhausted a 2", "drained")
	if got, want := r.field("a", "stacktrace"), `["Error: a \"b\"\nat x","Error: no"]`; got != want {
		t.Errorf("stacktrace = %s, want %s", got, want)
	}
}
