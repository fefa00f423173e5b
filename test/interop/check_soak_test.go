package interop_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// A day of a queue in small: rounds of all kinds of jobs, none of which is
// kept, made and worked by both sides. What is left after a round must not grow
// with the rounds.

// soakEvents is how many events the queue keeps, about.
const soakEvents = 200

// soakJobs is how many jobs each round makes, at least.
const soakJobs = 200

// soakRounds is how many rounds there are.
func soakRounds() int {
	if everything() {
		return 12
	}
	return 3
}

func TestCheck76_NothingGrowsOverManyRounds(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		s := newSoak(l)
		for round := range soakRounds() {
			s.round()
			if n := must(t, l.redis.XLen(t.Context(), key("events"))); n > soakEvents+streamNode {
				t.Fatalf("round %d: %d events are kept, want about %d", round+1, n, soakEvents)
			}
			if orphans := s.orphans(); len(orphans) > 0 {
				t.Fatalf("round %d: keys without an owner: %v", round+1, orphans)
			}
		}
		if n := len(l.stream()); n == 0 || s.added() < int64(soakRounds()*soakJobs) {
			t.Errorf("%d jobs were made, want all rounds to have run", s.added())
		}
	})
}

// streamNode is how many entries Redis may keep beyond an approximate length:
// a node of the stream.
const streamNode = 100

type soak struct {
	l     *lab
	queue *node.Queue
	flow  *node.Object
}

// newSoak starts a worker on each side, and a schedule.
func newSoak(l *lab) *soak {
	l.t.Helper()
	s := &soak{l: l, flow: l.Flow(), queue: l.Queue("mail", node.Opts{
		"streams":           node.Opts{"events": node.Opts{"maxLen": soakEvents}},
		"defaultJobOptions": gone(),
	})}
	await(l.t, "the length of the stream to be set", func() bool {
		return l.redis.HGet(l.t.Context(), key("meta"), "opts.maxLenEvents").Val() == fmt.Sprint(soakEvents)
	})
	s.queue.Call("upsertJobScheduler", "beat", node.Opts{"every": 100}, node.Opts{"name": "tick", "opts": gone()})
	flaky := func(_ context.Context, job *domain.Job) ([]byte, error) {
		if job.AttemptsMade == 0 {
			return nil, errBusy
		}
		return nil, nil
	}
	l.work(work{concurrency: 4, timing: shortTiming, config: scanning, handlers: handlers{
		"plain": progressing, "flaky": flaky, "bad": fails(errBusy), "parent": echo, "child": echo, "tick": echo,
	}})
	l.QuietWorker("mail", node.Steps{
		"flaky": {node.FailTimes(1, "busy"), node.Echo()}, "bad": {node.Fail("busy")},
		"plain": {{"do": "log", "line": "a line"}, node.Echo()},
	}, node.Opts{"concurrency": 4, "drainDelay": 0.1})
	return s
}

// gone are options of a job that leaves nothing when it ends.
func gone() node.Opts { return node.Opts{"removeOnComplete": true, "removeOnFail": true} }

func goneFromTakt(options domain.JobOptions) domain.JobOptions {
	options.KeepCompleted, options.KeepFailed = domain.KeepNone(), domain.KeepNone()
	return options
}

// round adds jobs of all kinds and waits until they have ended.
func (s *soak) round() {
	s.l.t.Helper()
	for i := range soakJobs / 10 {
		s.queue.AddBulk(
			node.BulkJob{Name: "plain", Data: i}, node.BulkJob{Name: "plain", Data: i, Opts: node.Opts{"priority": 1 + i%5}},
			node.BulkJob{Name: "flaky", Data: i, Opts: node.Opts{"attempts": 2, "backoff": node.Opts{"type": "fixed", "delay": 5}}},
			node.BulkJob{Name: "plain", Data: i, Opts: node.Opts{"delay": 5 + i, "lifo": true}},
			node.BulkJob{Name: "bad", Data: i, Opts: node.Opts{"deduplication": node.Opts{"id": fmt.Sprint("k", i%3)}}})
		s.l.putAll(
			job("plain", `1`, goneFromTakt(domain.JobOptions{})), job("plain", `1`, goneFromTakt(domain.JobOptions{Priority: 2})),
			job("flaky", `1`, goneFromTakt(domain.JobOptions{Attempts: 2})), job("bad", `1`, goneFromTakt(domain.JobOptions{Attempts: 2})),
			job("plain", `1`, goneFromTakt(domain.JobOptions{Delay: 10 * time.Millisecond, Deduplication: domain.Deduplication{Key: fmt.Sprint("t", i%3)}})))
	}
	s.flow.Call("add", node.Opts{"name": "parent", "queueName": "mail", "opts": gone(), "children": []node.Opts{
		{"name": "child", "queueName": "mail", "opts": gone()}, {"name": "child", "queueName": "mail", "opts": gone()},
	}})
	await(s.l.t, "the jobs to end", func() bool { return s.left() == 0 })
}

// left counts the jobs that have not ended, but for the next run of the
// schedule.
func (s *soak) left() int {
	counts := s.queue.Counts()
	n := -1
	for _, state := range []string{"waiting", "active", "delayed", "prioritized", "waiting-children"} {
		n += counts[state]
	}
	return max(n, 0)
}

// added counts the ids that were given out.
func (s *soak) added() int64 {
	n, _ := s.l.redis.Get(s.l.t.Context(), key("id")).Int64()
	return n
}

// ofQueue are the keys of a queue itself.
func ofQueue() []string {
	return []string{
		"meta", "id", "events", "marker", "stalled-check", "stalled", "pc", "repeat", "repeat:beat", "wait", "active", "paused",
		"delayed", "prioritized", "waiting-children", "completed", "failed",
	}
}

// orphans returns the keys that belong to no job in any of the queue's places,
// nor to the queue itself, and those of Takt's own that would stay for ever.
func (s *soak) orphans() []string {
	s.l.t.Helper()
	ctx := s.l.t.Context()
	var orphans []string
	for _, name := range must(s.l.t, s.l.redis.Keys(ctx, "*")) {
		id, ofQueue := strings.CutPrefix(name, key(""))
		switch {
		case !ofQueue && s.l.redis.PTTL(ctx, name).Val() == -1:
			orphans = append(orphans, name)
		case ofQueue && !s.owned(id) && s.l.redis.Exists(ctx, name).Val() == 1:
			orphans = append(orphans, name)
		}
	}
	return orphans
}

// owned tells whether a key is the queue's or a job's that is in one of its
// places. The schedule goes on meanwhile: its next run may have moved on.
func (s *soak) owned(id string) bool {
	s.l.t.Helper()
	if slices.Contains(ofQueue(), id) || strings.HasPrefix(id, "repeat:beat:") {
		return true
	}
	for _, suffix := range []string{":lock", ":logs", ":dependencies", ":processed", ":failed", ":unsuccessful"} {
		id = strings.TrimSuffix(id, suffix)
	}
	state := s.queue.State(id)
	return state != "unknown"
}
