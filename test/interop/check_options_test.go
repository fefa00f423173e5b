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

func TestCheck18_NodeShortensTheBackoffOfTaktsJobs(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		backoff := domain.Backoff{Kind: domain.BackoffFixed, Delay: time.Minute, Jitter: 0.5}
		worker := l.Manual("mail")
		var delays []string
		for range 20 {
			id := l.put("send", `{}`, domain.JobOptions{Attempts: 2, Backoff: backoff})
			job, _ := worker.Next("t")
			job.Call("moveToFailed", node.Failure("Error", "busy"), "t", false)
			delays = append(delays, l.hash(id)["delay"])
		}
		wantJittered(t, delays, 30_000, 60_000)
	})
}

func TestCheck46_NodeKeepsAsManyOfTaktsJobsAsTheySay(t *testing.T) {
	hour := domain.Retention{Limited: true, Age: time.Hour}
	hourly, one, slow := hour, hour, hour
	one.Count, hourly.Count, slow.PerFinish = 1, 9, 1
	all := []string{"a", "b", "c", "d", "e"}
	forVersions(t, full, func(t *testing.T, l *lab) {
		for _, c := range []struct {
			name string
			keep domain.Retention
			want []string
		}{
			{"all", domain.Retention{}, all},
			{"none", domain.KeepNone(), []string{}},
			{"two", domain.KeepLast(2), []string{"d", "e"}},
			{"an hour", hour, []string{"d", "e"}},
			{"an hour and one", one, []string{"e"}},
			{"an hour and nine", hourly, []string{"d", "e"}},
			{"an hour, one job a finish", slow, []string{"a", "d", "e"}},
		} {
			for _, set := range []string{"completed", "failed"} {
				t.Run(set+" "+c.name, func(t *testing.T) {
					l := newLab(t, l.Version)
					l.Worker("mail", node.Steps{"failed": {node.Fail("busy")}})
					l.finishFive(set, func(id string) {
						options := domain.JobOptions{ID: domain.JobID(id), KeepCompleted: c.keep}
						if set == "failed" {
							options.KeepCompleted, options.KeepFailed = domain.Retention{}, c.keep
						}
						l.put(set, `{}`, options)
					})
					l.wantOnly(set, c.want, c.keep.PerFinish > 0)
				})
			}
		}
	})
}
