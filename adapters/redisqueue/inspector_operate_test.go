package redisqueue_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/taktwork/takt/core/domain"
)

func redisZ(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }

func TestARetriedJobGoesBackToItsRank(t *testing.T) {
	r := newRawQueue(t, nil)
	failed := "finishedOn 2 processedOn 1 failedReason no stacktrace [] atm 1 timestamp 1 name n data {}"
	r.do("HSET bull:q:plain priority 0 opts {} "+failed, "HSET bull:q:front priority 0 opts {\"lifo\":true} "+failed,
		"HSET bull:q:ranked priority 2 opts {} "+failed, "ZADD bull:q:failed 1 plain 2 front 3 ranked 4 ghost", "RPUSH bull:q:wait x")
	r.apply(domain.Operation{Kind: domain.OpRetry}, "plain", "front", "ranked")
	r.wantList("bull:q:wait", "plain", "x", "front")
	if got := r.rdb.ZScore(t.Context(), "bull:q:prioritized", "ranked").Val(); got != 2*(1<<32)+1 {
		t.Errorf("score of ranked = %v, want that of priority 2", got)
	}
	if got := r.rdb.ZRange(t.Context(), "bull:q:failed", 0, -1).Val(); !slices.Equal(got, []string{"ghost"}) {
		t.Errorf("failed = %v, want the id without a job alone", got)
	}
	r.wantEvents("waiting plain failed", "waiting front failed", "waiting ranked failed")
	want := []string{"atm", "data", "name", "opts", "priority", "stacktrace", "timestamp"}
	if got := sortedKeys(r.rdb.HGetAll(t.Context(), "bull:q:plain").Val()); !slices.Equal(got, want) {
		t.Errorf("fields of a retried job = %v, want %v", got, want)
	}
	r.wantKey("bull:q:marker", true)
}

func TestARetriedChildIsWaitedForAgain(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.child("failed-it", "p", "failedReason", "no")
	r.child("ignored", "p", "failedReason", "no")
	r.child("unrelated", "p", "failedReason", "no")
	r.do("DEL bull:q:p:dependencies", "ZADD bull:q:p:unsuccessful 1 bull:q:failed-it", "HSET bull:q:p:failed bull:q:ignored no",
		"ZADD bull:q:failed 1 failed-it 2 ignored 3 unrelated")
	r.apply(domain.Operation{Kind: domain.OpRetry}, "failed-it", "ignored", "unrelated")
	got := r.rdb.SMembers(t.Context(), "bull:q:p:dependencies").Val()
	slices.Sort(got)
	if want := []string{"bull:q:failed-it", "bull:q:ignored"}; !slices.Equal(got, want) {
		t.Errorf("dependencies = %v, want %v", got, want)
	}
	r.wantKey("bull:q:p:unsuccessful", false)
	r.wantKey("bull:q:p:failed", false)
}

func TestAPromotionKeepsPriorities(t *testing.T) {
	r := newRawQueue(t, nil)
	r.add(domain.JobOptions{ID: "plain", Delay: time.Hour})
	r.add(domain.JobOptions{ID: "ranked", Delay: 2 * time.Hour, Priority: 3})
	r.events()
	r.apply(domain.Operation{Kind: domain.OpPromote}, "plain", "ranked")
	r.wantList("bull:q:wait", "plain")
	r.wantEvents("waiting plain delayed", "waiting ranked delayed")
	for _, id := range []string{"plain", "ranked"} {
		if got := r.rdb.HGet(t.Context(), "bull:q:"+id, "delay").Val(); got != "0" {
			t.Errorf("delay of %s = %s, want 0", id, got)
		}
	}
}

func TestADrainLeavesTheJobThatASchedulerWaitsFor(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("ZADD bull:q:repeat 500 s", "HSET bull:q:repeat:s name n")
	for _, id := range []string{"a", "b", "repeat:s:500", "repeat:s:400", "c"} {
		r.do("HSET bull:q:"+id+" name n timestamp 1", "LPUSH bull:q:wait "+id)
	}
	r.apply(domain.Operation{Kind: domain.OpDrain}, "a", "b", "repeat:s:400", "c")
	r.wantList("bull:q:wait", "repeat:s:500")
	r.wantKey("bull:q:repeat:s:500", true)
	r.wantKey("bull:q:repeat:s:400", false)
}

func TestADrainDeletesAParentOfItsOwnQueue(t *testing.T) {
	r := newRawQueue(t, nil)
	r.parent("p")
	r.child("a", "p")
	r.do("RPUSH bull:q:wait a", "HSET bull:other:p name n timestamp 1 priority 0", "ZADD bull:other:waiting-children 1 p",
		"HSET bull:q:b name n timestamp 1 parentKey bull:other:p", "SADD bull:other:p:dependencies bull:q:b", "LPUSH bull:q:wait b")
	r.apply(domain.Operation{Kind: domain.OpDrain}, "a", "b")
	r.wantKey("bull:q:p", false)
	r.wantKey("bull:other:p", true)
	r.wantList("bull:other:wait", "p")
}

func TestACleanGoesByTheTimeOfItsState(t *testing.T) {
	r := newRawQueue(t, nil)
	now := time.Now().UnixMilli()
	old := now - time.Hour.Milliseconds()
	r.do(fmt.Sprintf("HSET bull:q:old name n timestamp %d", old), fmt.Sprintf("HSET bull:q:new name n timestamp %d", now),
		fmt.Sprintf("HSET bull:q:retried name n timestamp %d processedOn %d", old, now),
		"RPUSH bull:q:wait new retried old", "RPUSH bull:q:paused old2", fmt.Sprintf("HSET bull:q:old2 name n timestamp %d", old))
	r.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateWait, OlderThan: time.Minute}, "old2", "old")
	r.wantList("bull:q:wait", "new", "retried")
	r.wantEvents("cleaned 2")
	r.do("ZADD bull:q:delayed 1 new 2 retried", "HSET takt:{bull}:default:parked:q retried n")
	r.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateParked}, "retried")
	r.apply(domain.Operation{Kind: domain.OpClean, State: domain.StateDelayed}, "new")
	r.wantKey("takt:{bull}:default:parked:q", false)
}

func TestADryRunWritesNothing(t *testing.T) {
	r := newRawQueue(t, nil)
	kinds := []domain.Operation{
		{Kind: domain.OpPause},
		{Kind: domain.OpResume},
		{Kind: domain.OpRetry},
		{Kind: domain.OpPromote},
		{Kind: domain.OpRemove, IDs: []domain.JobID{"p", "a", "x"}},
		{Kind: domain.OpRetry, IDs: []domain.JobID{"x"}},
		{Kind: domain.OpPromote, IDs: []domain.JobID{"d"}},
		{Kind: domain.OpDrain, State: domain.StateDelayed},
		{Kind: domain.OpClean, State: domain.StateWait},
		{Kind: domain.OpClean, State: domain.StateFailed},
	}
	same := func() {
		t.Helper()
		before := r.dump()
		for _, op := range kinds {
			op.DryRun = true
			if _, err := r.backend.Apply(t.Context(), "q", op); err != nil {
				t.Errorf("Apply(dry %s) = %v, want no error", op.Kind, err)
			}
		}
		if after := r.dump(); !maps.Equal(before, after) {
			t.Errorf("a dry run changed what is in Redis (-before +after):\n%s", cmp.Diff(sortedKeys(before), sortedKeys(after)))
		}
	}
	same()
	r.parent("p")
	r.child("a", "p")
	r.do("RPUSH bull:q:wait a", "ZADD bull:q:failed 1 x", "HSET bull:q:x name n timestamp 1", "ZADD bull:q:delayed 1 d", "HSET bull:q:d name n timestamp 1")
	same()
}

// stock fills the containers with n jobs each, a thousand in each script.
func (r *rawQueue) stock(n int) {
	r.Helper()
	const lua = `for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
		for _, set in ipairs({'completed', 'failed', 'delayed'}) do
			redis.call('HSET', 'bull:q:' .. set .. i, 'name', 'n', 'timestamp', i, 'data', '{}', 'opts', '{}')
			redis.call('ZADD', 'bull:q:' .. set, i, set .. i)
		end
		redis.call('HSET', 'bull:q:wait' .. i, 'name', 'n', 'timestamp', i, 'data', '{}', 'opts', '{}')
		redis.call('LPUSH', 'bull:q:wait', 'wait' .. i)
	end`
	for from := 1; from <= n; from += 1000 {
		if err := r.rdb.Eval(r.Context(), lua, nil, from, min(from+999, n)).Err(); err != nil && !errors.Is(err, redis.Nil) {
			r.Fatalf("store %d jobs: %v", n, err)
		}
	}
}

func TestOperationsOnManyJobsNeverStopTheServerForLong(t *testing.T) {
	const many, slice = 20_000, 250
	r := newRawQueue(t, nil)
	r.stock(many)
	for _, c := range []struct {
		op   domain.Operation
		want int
	}{
		{domain.Operation{Kind: domain.OpClean, State: domain.StateCompleted, OlderThan: time.Second}, many},
		{domain.Operation{Kind: domain.OpDrain}, many},
		{domain.Operation{Kind: domain.OpRetry}, many},
		{domain.Operation{Kind: domain.OpPromote}, many},
		{domain.Operation{Kind: domain.OpClean, State: domain.StateWait, OlderThan: time.Second}, 2 * many},
	} {
		r.do("CONFIG RESETSTAT")
		before := r.cpu()
		ids, err := r.backend.Apply(t.Context(), "q", c.op)
		if err != nil || len(ids) != c.want {
			t.Fatalf("Apply(%s) = %d jobs, %v, want %d", c.op.Kind, len(ids), err, c.want)
		}
		calls := r.calls("evalsha")
		if calls < c.want/slice {
			t.Errorf("Apply(%s) of %d jobs took %d calls, want slices of %d at most", c.op.Kind, c.want, calls, slice)
		}
		t.Logf("%s: %d calls of %s each", c.op.Kind, calls, (r.cpu()-before)/time.Duration(calls))
	}
}

// cpu returns the processor time that the server has used.
func (r *rawQueue) cpu() time.Duration {
	r.Helper()
	info := r.rdb.Info(r.Context(), "cpu").Val()
	var total float64
	for _, field := range []string{"used_cpu_user_main_thread:", "used_cpu_sys_main_thread:"} {
		_, rest, _ := strings.Cut(info, field)
		value, _, _ := strings.Cut(rest, "\r")
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			r.Fatalf("INFO cpu has no %s", field)
		}
		total += seconds
	}
	return time.Duration(total * float64(time.Second))
}

// calls returns how often the server ran the command since its statistics were
// reset.
func (r *rawQueue) calls(command string) int {
	r.Helper()
	_, rest, _ := strings.Cut(r.rdb.Info(r.Context(), "commandstats").Val(), "cmdstat_"+command+":calls=")
	value, _, _ := strings.Cut(rest, ",")
	calls, _ := strconv.Atoi(value)
	return calls
}
