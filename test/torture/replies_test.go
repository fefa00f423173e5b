package torture_test

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
	"github.com/taktwork/takt/test/torture/proxy"
)

// lossy is a run with a proxy between Takt and Redis.
type lossy struct {
	jobs, batch int
	rule        proxy.Rule
	// lasts is how long a job takes at most.
	lasts time.Duration
	// outlasted tells that replies may be away for longer than a lease: jobs
	// may be leased to nobody then.
	outlasted bool
}

// run works the jobs by two workers through the proxy and judges the end: no
// blow was dealt, so nothing may have begun twice, unless the machine itself
// stood still.
func (l lossy) run(t *testing.T) *proxy.Proxy {
	t.Helper()
	server, d := redistest.Start(t), newDesk(t)
	d.watchServer(t, server)
	p := proxy.Start(t, server.Addr)
	p.Set(l.rule)
	var workers []*process
	for _, name := range []string{"w1", "w2"} {
		workers = append(workers, d.launch(t, part{Role: worker, Name: name, Addr: p.Addr, File: d.effects(), Concurrency: 10}))
	}
	feeder := d.launch(t, part{
		Role: producer, Name: "p1", Addr: p.Addr, File: d.acceptedBy("p1"), Count: l.jobs, Batch: l.batch, Most: l.lasts,
	})
	feeder.wait()
	awaitEnd(t, server)
	p.Set(nil)
	for _, w := range workers {
		w.stop()
		report(t, chatter(readLog(w.text())))
	}
	report(t, chatter(readLog(feeder.text())))
	e, sum := judged(t, d, server, rules{concurrency: 10, workers: 2, batch: l.batch, crashes: 2})
	if sum.completed != l.jobs {
		t.Errorf("%d jobs completed, want %d", sum.completed, l.jobs)
	}
	if n := len(e.contents.crashes); n > 0 && !l.outlasted && len(e.blows) == 0 {
		t.Errorf("%d jobs were leased to nobody until the lease ran out, want none", n)
	}
	return p
}

// call tells requests that run a script.
func call(request []byte) bool {
	return bytes.Contains(request[:min(len(request), 64)], []byte("eval"))
}

func TestLostRepliesMakeNoDuplicateAndNoOrphan(t *testing.T) {
	t.Parallel()
	jobs := sized(3000, 50_000)
	for name, c := range map[string]struct {
		kind  proxy.Kind
		every int
	}{
		"closed, 1 in 50":     {proxy.DropReply, 50},
		"reset, 1 in 50":      {proxy.Reset, 50},
		"no request, 1 in 50": {proxy.DropRequest, 50},
		"closed, 1 in 5":      {proxy.DropReply, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := lossy{jobs: jobs, batch: 30, rule: proxy.Every(c.every, proxy.Verdict{Kind: c.kind}, nil), lasts: 10 * time.Millisecond}.run(t)
			if got := p.Count(c.kind); got < 10 {
				t.Errorf("%d exchanges were broken, want more", got)
			}
			t.Logf("%d of %d exchanges broken", p.Count(c.kind), p.Count(c.kind)+p.Count(proxy.Pass))
		})
	}
}

// TestLostRepliesLeaveEachTickItsOneJob loses replies to the ledger's calls as
// well: those of claims, renewals and dispatches.
func TestLostRepliesLeaveEachTickItsOneJob(t *testing.T) {
	t.Parallel()
	server, d := redistest.Start(t), newDesk(t)
	d.watchServer(t, server)
	p := proxy.Start(t, server.Addr)
	p.Set(proxy.Every(10, proxy.Verdict{Kind: proxy.DropReply}, call))
	var replicas []*process
	for _, name := range []string{"r1", "r2"} {
		replicas = append(replicas, d.launch(t, part{
			Role: worker, Name: name, Addr: p.Addr, File: d.effects(), Concurrency: 10, Jobs: 20, Tick: tickTime, Dispatcher: atOnce,
		}))
	}
	rest(sized(8*time.Second, time.Minute))
	last := d.launch(t, part{Role: worker, Name: "last", Addr: server.Addr, File: d.effects(), Concurrency: 10})
	for _, r := range replicas {
		r.stop()
		report(t, chatter(readLog(r.text())))
	}
	awaitEnd(t, server)
	last.stop()
	if sum := judgedTicks(t, d, server, rules{concurrency: 10, workers: 3, crashes: 2, interval: tickTime}); sum.accepted < 500 {
		t.Errorf("%d ticks, want at least 500", sum.accepted)
	}
	t.Logf("%d replies dropped of %d", p.Count(proxy.DropReply), p.Count(proxy.DropReply)+p.Count(proxy.Pass))
}

// TestEveryReplyMayBeLostOnce drops the first reply to each call there is.
func TestEveryReplyMayBeLostOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[[32]byte]bool{}
	p := lossy{jobs: sized(500, 5000), batch: 7, lasts: 5 * time.Millisecond, rule: func(e proxy.Exchange) proxy.Verdict {
		if !call(e.Request) {
			return proxy.Verdict{}
		}
		mu.Lock()
		defer mu.Unlock()
		sum := sha256.Sum256(e.Request)
		if seen[sum] {
			return proxy.Verdict{}
		}
		seen[sum] = true
		return proxy.Verdict{Kind: proxy.DropReply}
	}}.run(t)
	t.Logf("%d replies dropped", p.Count(proxy.DropReply))
}

func TestHalfOpenConnectionsMakeNoDuplicate(t *testing.T) {
	t.Parallel()
	p := lossy{
		jobs: sized(1000, 10_000), batch: 30, lasts: 10 * time.Millisecond, outlasted: true,
		rule: proxy.Every(100, proxy.Verdict{Kind: proxy.Hold}, call),
	}.run(t)
	t.Logf("%d connections fell silent", p.Count(proxy.Hold))
}

func TestLateRepliesMakeNoDuplicate(t *testing.T) {
	t.Parallel()
	lossy{
		jobs: sized(300, 5_000), batch: 30, lasts: 10 * time.Millisecond, outlasted: true,
		rule: proxy.Every(sized(20, 100), proxy.Verdict{Delay: leaseTime + 200*time.Millisecond}, call),
	}.run(t)
}
