package interop_test

import (
	"slices"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// The other direction of the checks 15 to 21 and 46: options that Takt's
// producer writes, acted on by Node's worker.

func TestCheck15_NodeTriesTaktsJobAsOftenAsItSays(t *testing.T) {
	forVersions(t, fast, func(_ *testing.T, l *lab) {
		id := l.put("send", `{}`, domain.JobOptions{Attempts: 3})
		l.Worker("mail", node.Steps{"*": {node.Fail("busy")}})
		l.awaitIn("failed", id)
		l.wantStory(id,
			"added name=send", "waiting", "active prev=waiting", "waiting prev=active", "active prev=waiting", "waiting prev=active",
			"active prev=waiting", "failed failedReason=busy prev=active", "retries-exhausted attemptsMade=3")
	})
}

func TestCheck16_NodeWaitsBetweenTheTriesOfTaktsJob(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, c := range []struct {
			kind domain.BackoffKind
			want []string
		}{
			{domain.BackoffFixed, []string{"60000", "60000", "60000"}},
			{domain.BackoffExponential, []string{"60000", "120000", "240000"}},
		} {
			l := newLab(t, l.Version)
			id := l.put("send", `{}`, domain.JobOptions{
				Attempts: 4, Backoff: domain.Backoff{Kind: c.kind, Delay: time.Minute},
			})
			queue, worker := l.Queue("mail"), l.Manual("mail")
			var delays []string
			for range c.want {
				job, _ := worker.Next("t")
				job.Call("moveToFailed", node.Failure("Error", "busy"), "t", false)
				delays = append(delays, l.hash(id)["delay"])
				queue.OnJob(id, "promote")
			}
			if !slices.Equal(delays, c.want) {
				t.Errorf("%s: delays = %v, want %v", c.kind, delays, c.want)
			}
		}
	})
}

func TestCheck46_NodeKeepsAsManyOfTaktsJobsAsTheySay(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, c := range []struct {
			name string
			keep domain.Retention
			want []string
		}{
			{"all", domain.Retention{}, []string{"a", "b", "c"}},
			{"none", domain.KeepNone(), []string{}},
			{"two", domain.KeepLast(2), []string{"b", "c"}},
			{"an hour", domain.KeepFor(time.Hour), []string{"a", "b", "c"}},
		} {
			l := newLab(t, l.Version)
			for _, id := range []domain.JobID{"a", "b", "c"} {
				l.put("send", `{}`, domain.JobOptions{ID: id, KeepCompleted: c.keep})
			}
			l.Worker("mail", node.Steps{}).Await(t, 3, "completed")
			ids := l.Queue("mail").IDs("completed")
			slices.Sort(ids)
			if !slices.Equal(ids, c.want) {
				t.Errorf("%s: node keeps %v, want %v", c.name, ids, c.want)
			}
		}
	})
}
