package redisqueue_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

// Outcomes are written before jobs that ended earlier are dropped. What keeps these
// from being dropped must not make the worker think that it lost its leases.
func TestOutcomesAreWrittenThoughNoEarlierJobCanBeDropped(t *testing.T) {
	t.Parallel()
	for name, outcomes := range map[string][]domain.Outcome{
		"one":        {{Kind: domain.Completed}},
		"a failure":  {{Kind: domain.Failed, Reason: "boom"}},
		"several":    {{Kind: domain.Completed}, {Kind: domain.Completed}},
		"of a kind":  {{Kind: domain.Failed, Reason: "boom"}, {Kind: domain.Failed, Reason: "boom"}},
		"of several": {{Kind: domain.Completed}, {Kind: domain.Failed, Reason: "boom"}, {Kind: domain.Completed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := &journal{}
			r := newRawQueue(t, func(c *redisqueue.Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
			c := r.consumer()
			keep := domain.JobOptions{KeepCompleted: domain.KeepLast(1), KeepFailed: domain.KeepLast(1)}
			for range 1 + len(outcomes) {
				r.add(keep)
			}
			leases := reserve(t, c, 1+len(outcomes))
			settle(t, c, leases[0])
			r.do("ACL SETUSER default -zremrangebyrank")
			var settlements []domain.Settlement
			for i, outcome := range outcomes {
				settlements = append(settlements, domain.Settlement{Lease: leases[1+i].Ref(), Outcome: outcome})
			}
			if outcomes[0].Kind == domain.Failed {
				// Something to drop.
				r.do("ZADD bull:q:failed 1 old", "HSET bull:q:old timestamp 1")
			}
			reply, err := c.Settle(t.Context(), settlements, 0)
			if err != nil {
				t.Fatalf("Settle = %v, want no error", err)
			}
			for i, status := range reply.Statuses {
				if status != domain.Settled {
					t.Errorf("outcome %d is %v, want settled", i, status)
				}
			}
			for i, lease := range leases[1:] {
				set := setOf(outcomes[i])
				if r.rdb.ZScore(t.Context(), "bull:q:"+set, string(lease.Job.ID)).Val() == 0 {
					t.Errorf("job %s is not in %s, want it there", lease.Job.ID, set)
				}
			}
			if n := said.count("outcome written beside damaged keys"); n == 0 || !strings.Contains(said.read(), "(bull:q:"+setOf(outcomes[0])+")") {
				t.Errorf("the log tells it %d times, want it with the key:\n%s", n, said.read())
			}
			r.do("ACL SETUSER default +zremrangebyrank")
			r.add(keep)
			settle(t, c, reserve(t, c, 1)[0])
			if n := r.rdb.ZCard(t.Context(), "bull:q:completed").Val(); n != 1 {
				t.Errorf("%d completed jobs are kept when they can be dropped, want 1", n)
			}
		})
	}
}

// setOf is where a job with the outcome is kept.
func setOf(outcome domain.Outcome) string {
	if outcome.Kind == domain.Failed {
		return "failed"
	}
	return "completed"
}

// What stops one of several outcomes stops the call before any is written: each is
// told as what it is when the way is free.
func TestNoOutcomeIsLostBesideOneThatCannotBeWritten(t *testing.T) {
	for key, kinds := range map[string][]domain.OutcomeKind{
		"delayed":          {domain.Returned, domain.Completed, domain.Snoozed},
		"prioritized":      {domain.Snoozed, domain.Returned},
		"waiting-children": {domain.Snoozed, domain.WaitingForChildren},
	} {
		t.Run(key, func(t *testing.T) {
			r := newRawQueue(t, nil)
			c := r.consumer()
			for range kinds {
				r.add(domain.JobOptions{})
			}
			r.do("HSET bull:q:2 priority 1", "SADD bull:q:2:dependencies bull:q:child")
			var settlements []domain.Settlement
			for i, lease := range reserve(t, c, len(kinds)) {
				settlements = append(settlements, domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: kinds[i], After: time.Hour}})
			}
			if slices.Contains(kinds, domain.Completed) {
				r.do("DEL bull:q:2:dependencies")
			}
			r.do("SET bull:q:" + key + " x")
			for range 2 {
				if reply, err := c.Settle(t.Context(), settlements, 0); err == nil || !strings.Contains(err.Error(), "bull:q:"+key) {
					t.Errorf("Settle = %v, %v, want an error that names the key", reply, err)
				}
			}
			r.do("DEL bull:q:" + key)
			reply, err := c.Settle(t.Context(), settlements, 0)
			if diff := cmp.Diff(slices.Repeat([]domain.SettleStatus{domain.Settled}, len(kinds)), reply.Statuses); diff != "" || err != nil {
				t.Errorf("Settle = %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
