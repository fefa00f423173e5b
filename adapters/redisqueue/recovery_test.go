package redisqueue_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// crash makes n jobs active whose worker is gone, and others between them that
// are leased, and has a scan mark them all. It returns the ids of both.
func (r *rawQueue) crash(n int) (dead, leased []string) {
	r.Helper()
	pipe := r.rdb.Pipeline()
	for i := range n {
		id := strconv.Itoa(i)
		pipe.HSet(r.Context(), "bull:q:"+id, "name", "n", "data", "{}", "opts", "{}", "timestamp", "1")
		pipe.LPush(r.Context(), "bull:q:active", id)
		dead = append(dead, id)
		if i%100 == 0 {
			held := "held-" + id
			pipe.HSet(r.Context(), "bull:q:"+held, "name", "n", "data", "{}", "opts", "{}", "timestamp", "1")
			pipe.Set(r.Context(), "bull:q:"+held+":lock", "token", time.Hour)
			pipe.LPush(r.Context(), "bull:q:active", held)
			leased = append(leased, held)
		}
	}
	pipe.SAdd(r.Context(), "bull:q:stalled", dead)
	pipe.SAdd(r.Context(), "bull:q:stalled", leased)
	if _, err := pipe.Exec(r.Context()); err != nil {
		r.Fatalf("Exec = %v, want no error", err)
	}
	return dead, leased
}

// A whole fleet died. The server is not stopped while its jobs are recovered: no
// call recovers very many, nor looks through all active jobs for each.
func TestVeryManyJobsAreRecoveredSomeAtATime(t *testing.T) {
	t.Parallel()
	const crashed = 2200
	r := newRawQueue(t, nil)
	dead, leased := r.crash(crashed)
	recovered, err := r.consumer().Recover(t.Context())
	if err != nil || len(recovered) != crashed {
		t.Fatalf("Recover = %d jobs, %v, want %d", len(recovered), err, crashed)
	}
	if scripts, looks := r.calls("evalsha"), r.calls("lrem"); scripts < crashed/500 || looks > 0 {
		t.Errorf("it took %d scripts and %d looks through the active jobs, want at least %d and none", scripts, looks, crashed/500)
	}
	waiting := r.rdb.LRange(t.Context(), "bull:q:wait", 0, -1).Val()
	slices.Sort(waiting)
	slices.Sort(dead)
	if !slices.Equal(waiting, dead) {
		t.Errorf("%d jobs wait, want each of the %d once", len(waiting), crashed)
	}
	slices.Reverse(leased)
	r.wantList("bull:q:active", leased...)
	if marked := r.rdb.SCard(t.Context(), "bull:q:stalled").Val(); marked != int64(len(leased)) {
		t.Errorf("%d jobs are marked, want the %d that are active", marked, len(leased))
	}
	if again, err := r.consumer().Recover(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("Recover again = %d jobs, %v, want none", len(again), err)
	}
}

// A recovery that breaks off leaves the other jobs where they are, and marked.
func TestARecoveryThatBreaksOffTellsOfTheJobsThatAreBack(t *testing.T) {
	t.Parallel()
	const crashed = 1200
	r := newRawQueue(t, func(c *redisqueue.Config) { c.StalledInterval = time.Minute })
	r.crash(crashed)
	consumer := r.consumer()
	redisqueue.BeforeScript(r.backend, "recover", func() {
		redisqueue.BeforeScript(r.backend, "recover", func() { r.do("RENAME bull:q:active bull:q:away", "SET bull:q:active x") })
	})
	recovered, err := consumer.Recover(t.Context())
	if err != nil || len(recovered) == 0 || len(recovered) == crashed {
		t.Fatalf("Recover = %d jobs, %v, want some of them", len(recovered), err)
	}
	if _, err := consumer.Recover(t.Context()); err != nil {
		t.Errorf("Recover while the scan is guarded = %v, want no error", err)
	}
	r.do("DEL bull:q:active", "RENAME bull:q:away bull:q:active", "DEL bull:q:stalled-check")
	rest, err := consumer.Recover(t.Context())
	if err != nil || len(rest)+len(recovered) != crashed {
		t.Errorf("Recover = %d jobs after %d, %v, want the others of %d", len(rest), len(recovered), err, crashed)
	}
	if waiting := r.rdb.LLen(t.Context(), "bull:q:wait").Val(); waiting != crashed {
		t.Errorf("%d jobs wait, want %d", waiting, crashed)
	}
}

// Others may have put a job into the list of active ones twice: one is recovered.
func TestAJobThatIsActiveTwiceIsRecoveredOnce(t *testing.T) {
	t.Parallel()
	for _, jobs := range []int{1, 50} {
		r := newRawQueue(t, nil)
		dead, _ := r.crash(jobs)
		r.do(fmt.Sprintf("RPUSH bull:q:active %s", dead[0]))
		recovered, err := r.consumer().Recover(t.Context())
		if err != nil || len(recovered) != jobs || recovered[0].Action != domain.Requeued {
			t.Errorf("Recover = %v, %v, want %d jobs", recovered, err, jobs)
		}
		r.wantList("bull:q:active", "held-0", dead[0])
	}
}
