package interop_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/test/interop/node"
)

// dedupCase are two jobs of one key, the second of which comes after the first.
type dedupCase struct {
	name string
	mode domain.DeduplicationMode
	ttl  time.Duration
	// first and second are their delays.
	first, second time.Duration
	// from is the first version whose producer knows the mode.
	from string
}

func dedupCases() []dedupCase {
	const delay, ttl = time.Hour, time.Minute
	return []dedupCase{
		{name: "simple"},
		{name: "throttle", ttl: ttl},
		{name: "extend", mode: domain.DedupExtend, ttl: ttl},
		{name: "replace", mode: domain.DedupReplace, first: delay, second: delay},
		{name: "replace-ready", mode: domain.DedupReplace, first: delay},
		{name: "replace-waiting", mode: domain.DedupReplace, second: delay},
		{name: "replace-ttl", mode: domain.DedupReplace, ttl: ttl, first: delay, second: 2 * delay},
		{name: "debounce", mode: domain.DedupDebounce, ttl: ttl, first: delay, second: delay},
		{name: "debounce-waiting", mode: domain.DedupDebounce, ttl: ttl},
		{name: "keep-last-waiting", mode: domain.DedupKeepLast, from: node.V5Last},
		{name: "replace-or-keep-last", mode: domain.DedupReplaceOrKeepLast, first: delay, second: delay, from: node.V5Last},
		{name: "replace-or-keep-last-waiting", mode: domain.DedupReplaceOrKeepLast, from: node.V5Last},
		{name: "reschedule", mode: domain.DedupReschedule, first: delay, second: 3 * delay, from: node.V6},
		{name: "reschedule-now", mode: domain.DedupReschedule, first: delay, from: node.V6},
		{name: "reschedule-waiting", mode: domain.DedupReschedule, second: delay, from: node.V6},
		{name: "reschedule-ttl", mode: domain.DedupReschedule, ttl: ttl, first: delay, second: 3 * delay, from: node.V6},
	}
}

// nodeDedup is the option as Node takes it.
func nodeDedup(d domain.Deduplication) node.Opts {
	opts := node.Opts{"id": d.Key}
	if d.TTL > 0 {
		opts["ttl"] = d.TTL.Milliseconds()
	}
	for name, set := range map[string]bool{
		"extend": d.Mode.Extends(), "replace": d.Mode.Replaces(), "keepLastIfActive": d.Mode.KeepsLast(),
		"reschedule": d.Mode == domain.DedupReschedule,
	} {
		if set {
			opts[name] = true
		}
	}
	return opts
}

// addDedup adds a job by Node, n, or by Takt, t, and returns the id that the
// producer is told.
func (l *lab) addDedup(by byte, queue *node.Queue, data string, options domain.JobOptions) string {
	l.t.Helper()
	if by == 't' {
		return string(l.putAll(job("send", data, options))[0].ID)
	}
	opts := node.Opts{"deduplication": nodeDedup(options.Deduplication)}
	if options.Delay > 0 {
		opts["delay"] = options.Delay.Milliseconds()
	}
	return queue.Add("send", data, opts).ID
}

// dedupStory plays the case with the two producers, and returns what came of it,
// the same for whoever they were.
func (l *lab) dedupStory(queue *node.Queue, producers, dedup string, c dedupCase) string {
	l.t.Helper()
	before := len(l.stream())
	options := domain.JobOptions{Delay: c.first, Deduplication: domain.Deduplication{Key: dedup, Mode: c.mode, TTL: c.ttl}}
	first := l.addDedup(producers[0], queue, "1", options)
	if c.ttl > 0 {
		must(l.t, l.redis.PExpire(l.t.Context(), key("de:"+dedup), c.ttl/2))
	}
	options.Delay = c.second
	answer := l.addDedup(producers[1], queue, "2", options)
	second := must(l.t, l.redis.Get(l.t.Context(), key("id")))

	lasts := "for ever"
	if left := must(l.t, l.redis.PTTL(l.t.Context(), key("de:"+dedup))); left > c.ttl/2+c.ttl/4 {
		lasts = "anew"
	} else if left > 0 {
		lasts = "on"
	}
	lines := []string{"answer " + answer, "owner " + must(l.t, l.redis.Get(l.t.Context(), key("de:"+dedup))), "lasts " + lasts}
	for _, id := range []string{first, second} {
		line := id + " delay " + l.hash(id)["delay"]
		if score, delayed := l.scores("delayed")[id]; delayed {
			line += " due in " + time.Until(time.UnixMilli(int64(score/4096))).Round(time.Minute).String()
		}
		lines = append(lines, line)
	}
	for _, e := range l.stream()[before:] {
		if e["event"] == "delayed" {
			e["delay"] = "T"
		}
		lines = append(lines, e["jobId"]+" "+e.line())
	}
	words := strings.NewReplacer(" "+first+"\n", " A\n", " "+second+"\n", " B\n", "\n"+first+" ", "\nA ", "\n"+second+" ", "\nB ",
		"="+first+" ", "=A ", "="+second+" ", "=B ", "="+first+"\n", "=A\n", "="+second+"\n", "=B\n", "="+dedup, "=K")
	return words.Replace("\n" + strings.Join(lines, "\n") + "\n")
}

func TestCheck64_EachModeOfDeduplicationIsTheSameForBothProducers(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		for _, c := range dedupCases() {
			if c.from > l.Version {
				continue
			}
			want := l.dedupStory(queue, "nn", c.name+"-nn", c)
			for _, producers := range []string{"nt", "tn", "tt"} {
				if got := l.dedupStory(queue, producers, c.name+"-"+producers, c); got != want {
					t.Errorf("%s, added by %s:\n%s\nwant what Node alone leaves:\n%s", c.name, producers, got, want)
				}
			}
		}
	})
}

// A worker of 5.70.1 does not know jobs that are kept.
func TestCheck66_ANextJobOfTaktsFollowsItsOwnerOnBothWorkers(t *testing.T) {
	forSome(t, fast, []string{node.V5Last, node.V6}, func(_ *testing.T, l *lab) {
		for _, mode := range []domain.DeduplicationMode{domain.DedupKeepLast, domain.DedupReplaceOrKeepLast} {
			options := domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", Mode: mode}}
			for _, producers := range []string{"ttt", "ntt", "ttn", "tnt"} {
				l.nextFollows(options, producers)
			}
		}
	})
}

// nextFollows adds an owner and, while Node works it, two jobs more, each by its
// producer.
func (l *lab) nextFollows(options domain.JobOptions, producers string) {
	l.t.Helper()
	queue, gate := l.Queue("mail"), l.Gate()
	worker := l.Worker("mail", node.Steps{"send": {node.AwaitGate(gate)}}, node.Opts{"drainDelay": 0.05})
	owner := l.addDedup(producers[0], queue, "1", options)
	worker.Await(l.t, 1, "active")
	for i, data := range []string{"2", "3"} {
		if id := l.addDedup(producers[i+1], queue, data, options); id != owner {
			l.t.Errorf("%s: id = %s, want the owner's %s", producers, id, owner)
		}
	}
	next := must(l.t, l.redis.Get(l.t.Context(), key("id")))
	l.Open(gate)
	worker.Await(l.t, 2, "completed")
	ended := l.stream("completed")
	if last := ended[len(ended)-2:]; last[0]["jobId"] != owner || last[1]["jobId"] != next {
		l.t.Errorf("%s: completed %v, want the owner %s and the last job %s", producers, last, owner, next)
	}
	if data := strings.Trim(l.hash(next)["data"], `"`); data != "3" {
		l.t.Errorf("%s: data of the next job = %s, want the last", producers, data)
	}
	if l.has("de:k") || l.has("dn:k") {
		l.t.Errorf("%s: a key of the deduplication is left", producers)
	}
	worker.Close()
}

func TestCheck66_ATaktWorkerTakesTheNextJobOfATaktProducer(t *testing.T) {
	forVersions(t, full, func(t *testing.T, l *lab) {
		l.Queue("mail")
		release, order := make(chan struct{}), &journal{}
		options := domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupKeepLast}}
		owner := l.addDedup('t', nil, "0", options)
		l.work(work{handlers: handlers{"send": func(ctx context.Context, job *domain.Job) ([]byte, error) {
			_, _ = order.note(ctx, job)
			return holds(release)(ctx, job)
		}}})
		await(t, "the owner to run", func() bool { return len(order.ids()) == 1 })
		for _, data := range []string{"1", "2", "3"} {
			if id := l.addDedup('t', nil, data, options); id != owner {
				t.Errorf("id = %s, want the owner's %s", id, owner)
			}
		}
		close(release)
		l.awaitCount("completed", 2)
		if jobs := order.seen(); len(jobs) != 2 || string(jobs[1].Data) != "3" {
			t.Errorf("jobs = %+v, want the owner and one with the last data", jobs)
		}
		if l.has("de:k") || l.has("dn:k") {
			t.Error("a key of the deduplication is left")
		}
	})
}

// BullMQ 5 refuses jobs for ever once the owner of a key without a TTL is gone.
func TestCheck64_ATaktProducerRecoversAStaleKey(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		for _, mode := range []domain.DeduplicationMode{domain.DedupDrop, domain.DedupReplace, domain.DedupKeepLast, domain.DedupReschedule} {
			must(t, l.redis.Set(t.Context(), key("de:k"), "gone", 0))
			must(t, l.redis.HSet(t.Context(), key("dn:k"), "name", "send", "data", "1", "opts", "{}", "jid", "77"))
			options := domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", Mode: mode}}
			id := l.put("send", "1", options)
			if owner := must(t, l.redis.Get(t.Context(), key("de:k"))); owner != id || l.has("dn:k") {
				t.Errorf("%q: owner = %s, next there: %t, want the new job %s and none", mode, owner, l.has("dn:k"), id)
			}
			if got := l.addDedup('n', queue, "2", domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}}); got != id {
				t.Errorf("%q: node's job = %s, want the owner %s", mode, got, id)
			}
			must(t, l.redis.Del(t.Context(), key("de:k")))
		}
	})
}

func TestCheck64_KeysAreFoundAndFreedByBothSides(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, ctx := l.Queue("mail"), t.Context()
		ours := queueOf(t, l.producer())
		simple := domain.JobOptions{Deduplication: domain.Deduplication{Key: "k"}}
		owner := l.addDedup('t', queue, "1", simple)
		if got := node.Decode[string](t, queue.Call("getDeduplicationJobId", "k")); got != owner {
			t.Errorf("getDeduplicationJobId = %s, want %s", got, owner)
		}
		if n := node.Decode[int](t, queue.Call("removeDeduplicationKey", "k")); n != 1 {
			t.Errorf("removeDeduplicationKey = %d, want 1", n)
		}
		if id, err := ours.DeduplicationOwner(ctx, "k"); !errors.Is(err, ports.ErrNotFound) {
			t.Errorf("DeduplicationOwner = %s, %v, want %v", id, err, ports.ErrNotFound)
		}

		owner = l.addDedup('n', queue, "2", simple)
		if id, err := ours.DeduplicationOwner(ctx, "k"); err != nil || string(id) != owner {
			t.Errorf("DeduplicationOwner = %s, %v, want %s", id, err, owner)
		}
		for i, want := range []bool{true, false} {
			if freed, err := ours.FreeDeduplication(ctx, "k"); err != nil || freed != want {
				t.Errorf("FreeDeduplication, call %d = %t, %v, want %t", i, freed, err, want)
			}
		}
		former := owner
		owner = l.addDedup('n', queue, "3", simple)
		if owner == former {
			t.Error("the key still holds after it was freed")
		}
		if freed, err := ours.FreeDeduplicationOf(ctx, domain.JobID(former)); err != nil || freed {
			t.Errorf("FreeDeduplicationOf(former owner) = %t, %v, want nothing freed", freed, err)
		}
		if freed := node.Decode[bool](t, queue.OnJob(former, "removeDeduplicationKey")); freed {
			t.Error("removeDeduplicationKey of the former owner freed the key")
		}
		if freed, err := ours.FreeDeduplicationOf(ctx, domain.JobID(owner)); err != nil || !freed {
			t.Errorf("FreeDeduplicationOf(owner) = %t, %v, want it freed", freed, err)
		}
		if _, err := ours.FreeDeduplicationOf(ctx, "nobody"); !errors.Is(err, ports.ErrNotFound) {
			t.Errorf("FreeDeduplicationOf(nobody) = %v, want %v", err, ports.ErrNotFound)
		}
		owner = l.addDedup('t', queue, "4", simple)
		if freed := node.Decode[bool](t, queue.OnJob(owner, "removeDeduplicationKey")); !freed || l.has("de:k") {
			t.Errorf("removeDeduplicationKey of the owner = %t, key there: %t, want it freed", freed, l.has("de:k"))
		}
	})
}

func TestCheck64_NodesListenersAndJobsTellOfTaktsDeduplication(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue, events := l.Queue("mail"), l.Events("mail")
		owner := dedupTakt(l, "k", 0)
		dedupTakt(l, "k", 0)
		type told struct {
			JobID  string `json:"jobId"`
			Key    string `json:"deduplicationId"`
			Other  string `json:"deduplicatedJobId"`
			OldKey string `json:"debounceId"`
		}
		other := must(t, l.redis.Get(t.Context(), key("id")))
		got := node.Decode[told](t, events.Await(t, 1, "deduplicated")[0].Args[0])
		if want := (told{JobID: owner, Key: "k", Other: other}); got != want {
			t.Errorf("deduplicated = %+v, want %+v", got, want)
		}
		if l.v6() != (len(events.All("debounced")) == 0) {
			t.Errorf("debounced was told: %v, want it in 5.x alone", events.All("debounced"))
		}
		if job := queue.MustJob(owner); job.DeduplicationID != "k" {
			t.Errorf("deduplicationId = %q, want k", job.DeduplicationID)
		}
	})
}

// BullMQ 6 has no debounce any more.
func TestCheck64_TheDebounceOfNodesIsADeduplication(t *testing.T) {
	forSome(t, fast, []string{node.V5First, node.V5Last}, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		owner := queue.Add("send", 1, node.Opts{"debounce": node.Opts{"id": "k", "ttl": 60_000}}).ID
		if id := dedupTakt(l, "k", time.Minute); id != owner {
			t.Errorf("takt's job is %s, want it dropped for node's %s", id, owner)
		}
		if got := node.Decode[string](t, queue.Call("getDebounceJobId", "k")); got != owner {
			t.Errorf("getDebounceJobId = %s, want %s", got, owner)
		}
		lease := l.desk().next()
		if d := lease.Job.Options.Deduplication; d != (domain.Deduplication{Key: "k", TTL: time.Minute}) {
			t.Errorf("deduplication of the leased job = %+v, want the key and a minute", d)
		}
		if n := node.Decode[int](t, queue.Call("removeDebounceKey", "k")); n != 1 {
			t.Errorf("removeDebounceKey = %d, want 1", n)
		}
		owner = dedupTakt(l, "k", time.Minute)
		if id := queue.Add("send", 2, node.Opts{"debounce": node.Opts{"id": "k"}}).ID; id != owner {
			t.Errorf("node's job is %s, want it dropped for takt's %s", id, owner)
		}
	})
}

// queueOf returns what BullMQ has of the queue mail.
func queueOf(t *testing.T, backend *redisqueue.Backend) *redisqueue.Queue {
	t.Helper()
	queue, err := backend.Queue("mail")
	if err != nil {
		t.Fatal(err)
	}
	return queue
}

// Node leaves an owner that is replaced among the children of its parent, which
// waits for it for ever then. Takt takes it out.
func TestCheck64_AParentWaitsForNoChildThatTaktHasReplaced(t *testing.T) {
	forVersions(t, fast, func(t *testing.T, l *lab) {
		queue := l.Queue("mail")
		for by, want := range map[byte]int64{'n': 1, 't': 0} {
			dedup := "k" + string(by)
			options := domain.JobOptions{Delay: time.Hour, Deduplication: domain.Deduplication{Key: dedup, Mode: domain.DedupReplace}}
			child, parent := l.addDedup('t', nil, "1", options), l.put("send", "{}", domain.JobOptions{Delay: time.Hour})
			must(t, l.redis.HSet(t.Context(), key(child), "parentKey", key(parent), "parent", `{"id":"`+parent+`","queueKey":"bull:mail"}`))
			must(t, l.redis.SAdd(t.Context(), key(parent)+":dependencies", key(child)))
			if answer := l.addDedup(by, queue, "2", options); answer == child || l.has(child) {
				t.Errorf("%c: job %s was not replaced", by, child)
			}
			if left := must(t, l.redis.SCard(t.Context(), key(parent)+":dependencies")); left != want {
				t.Errorf("%c: the parent waits for %d children, want %d", by, left, want)
			}
		}
	})
}
