package interop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

func TestTaktTakesTheTimestampThatNodeGaveTheJob(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		at := time.Now().Add(-time.Hour).UnixMilli()
		queue := l.Queue("mail")
		queue.Add("send", 1, node.Opts{"timestamp": at})
		if got := l.desk().next().Job.CreatedAt.UnixMilli(); got != at {
			t.Errorf("created at %d, want %d", got, at)
		}
		late := queue.Add("send", 1, node.Opts{"timestamp": at, "delay": 3_600_000 + 60_000}).ID
		if due := int64(l.scores("delayed")[late] / 4096); due != at+3_660_000 {
			t.Errorf("due at %d, want the delay after the timestamp, %d", due, at+3_660_000)
		}
	})
}

// Node's producer itself refuses what is too large; what it takes is Takt's to work.
func TestTaktWorksWhatTheSizeLimitOfNodeLetsThrough(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		if _, err := queue.Try("add", "send", strings.Repeat("x", 100), node.Opts{"sizeLimit": 50}); err == nil {
			t.Error("node adds a job of 102 bytes with a limit of 50")
		}
		id := queue.Add("send", strings.Repeat("x", 40), node.Opts{"sizeLimit": 50}).ID
		l.work(work{handlers: handlers{"send": echo}})
		l.awaitIn("completed", id)
		l.wantHash(id, map[string]string{"returnvalue": `"` + strings.Repeat("x", 40) + `"`})
	})
}

func TestTaktLeavesOutWhatTelemetryIsToLeaveOut(t *testing.T) {
	forVersions(t, full, func(_ *testing.T, l *lab) {
		id := l.Queue("mail").Add("send", 1, node.Opts{"attempts": 2, "telemetry": node.Opts{"omitContext": true}}).ID
		before := l.hash(id)["opts"]
		l.work(work{handlers: handlers{"send": fails(errBusy)}})
		l.awaitIn("failed", id)
		l.wantHash(id, map[string]string{"opts": before})
	})
}

// The older name of deduplication, against an owner from Takt.
func TestTheOlderNameOfDeduplicationMeetsTakt(t *testing.T) {
	forSome(t, full, []string{node.V5First, node.V5Last}, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		debounced := func(opts node.Opts, more ...node.Opts) string {
			all := node.Opts{"debounce": opts}
			for _, m := range more {
				all = mergeOpts(all, m)
			}
			return queue.Add("send", 1, all).ID
		}
		owner := dedupTakt(l, "simple", 0)
		if got := debounced(node.Opts{"id": "simple"}); got != owner {
			t.Errorf("id = %s, want takt's owner %s", got, owner)
		}
		owner = debounced(node.Opts{"id": "ttl", "ttl": 60_000})
		if got := dedupTakt(l, "ttl", time.Minute); got != owner {
			t.Errorf("ttl: id = %s, want node's owner %s", got, owner)
		}
		dedupTakt(l, "extend", time.Minute)
		must(t, l.redis.PExpire(t.Context(), key("de:extend"), 30*time.Second))
		debounced(node.Opts{"id": "extend", "ttl": 60_000, "extend": true})
		if left := must(t, l.redis.PTTL(t.Context(), key("de:extend"))); left < 50*time.Second {
			t.Errorf("extend: the key lasts %s, want a minute", left)
		}
		owner = l.put("send", `1`, domain.JobOptions{Delay: time.Hour, Deduplication: domain.Deduplication{Key: "replace"}})
		if got := debounced(node.Opts{"id": "replace", "replace": true}, node.Opts{"delay": 3_600_000}); got == owner || l.has(owner) {
			t.Errorf("replace: id = %s, want takt's owner %s replaced", got, owner)
		}
		l.wantNextOfDebounce(queue)
	})
}

// wantNextOfDebounce checks the mode that 5.70.1 does not know.
func (l *lab) wantNextOfDebounce(queue *node.Queue) {
	l.t.Helper()
	if l.Version == node.V5First {
		return
	}
	release := make(chan struct{})
	opts := node.Opts{"debounce": node.Opts{"id": "last", "keepLastIfActive": true}}
	owner := queue.Add("held", 1, opts).ID
	l.work(work{handlers: handlers{"held": holds(release), "send": echo}, concurrency: 9})
	await(l.t, "the owner to run", func() bool { return l.has(owner + ":lock") })
	queue.Add("held", 2, opts)
	close(release)
	l.awaitCount("completed", 5)
}
