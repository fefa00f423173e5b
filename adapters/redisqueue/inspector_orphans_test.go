package redisqueue_test

import (
	"bytes"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/torture/proxy"
)

// Another queue may lie below this one, where a prefix has a colon.
func TestRemoveOrphansLeavesAQueueBelow(t *testing.T) {
	r := newRawQueue(t, nil)
	r.do("HSET bull:q:meta version x", "HSET bull:q:mysettings a 1", "HSET bull:q:x:meta version x", "ZADD bull:q:x:failed 1 7", "ZADD bull:q:x:completed 1 8",
		"HSET bull:q:x:7 name n timestamp 1", "RPUSH bull:q:x:wait 9", "SET bull:q:x:id 9", "XADD bull:q:x:events * event added",
		"HSET bull:q:lost name n timestamp 1", "ZADD bull:q:lost:failed 1 7", "RPUSH bull:q:lost:logs l",
		"HSET bull:q:nameless timestamp 1", "HSET bull:q:timeless name n", "SADD bull:q:gone:dependencies a", "ZADD bull:q:gone:unsuccessful 1 a", "HSET bull:q:gone:processed a 1",
		"HSET bull:q:gone:failed a 1", "SET bull:q:gone2:logs text")
	before := r.dump()
	if n, err := r.handle().RemoveOrphans(t.Context(), redisqueue.Bulk{DryRun: true}); err != nil || n != 4 {
		t.Errorf("dry RemoveOrphans = %d, %v, want 4", n, err)
	}
	if n, err := r.handle().RemoveOrphans(t.Context(), redisqueue.Bulk{}); err != nil || n != 4 {
		t.Errorf("RemoveOrphans = %d, %v, want 4", n, err)
	}
	after := r.dump()
	for _, key := range []string{"lost", "lost:logs", "nameless", "timeless", "gone:dependencies", "gone:unsuccessful", "gone:processed", "gone:failed"} {
		r.wantKey("bull:q:"+key, false)
		delete(before, "bull:q:"+key)
	}
	for _, key := range sortedKeys(before) {
		if after[key] != before[key] {
			t.Errorf("%s was changed", key)
		}
	}
}

// loseSecond drops the reply to the second request of the command, and counts
// those that begin a scan.
func loseSecond(p *proxy.Proxy, command string, begins func(request []byte) bool) (begun *int) {
	begun = new(int)
	seen := 0
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		if !bytes.Contains(e.Request, []byte(command)) {
			return proxy.Verdict{}
		}
		if begins(e.Request) {
			*begun++
		}
		if seen++; seen == 2 {
			return proxy.Verdict{Kind: proxy.DropReply}
		}
		return proxy.Verdict{}
	})
	return begun
}

// A reply that is lost does not begin a scan anew.
func TestAScanGoesOnAfterALostReply(t *testing.T) {
	t.Parallel()
	const jobs = 6000
	for name, c := range map[string]struct {
		command string
		from    string
		scan    func(*redisqueue.Backend, *redisqueue.Queue) (int, error)
	}{
		"orphans": {"\r\nscan\r\n", "\r\nscan\r\n$1\r\n0\r\n", func(_ *redisqueue.Backend, q *redisqueue.Queue) (int, error) {
			return q.RemoveOrphans(t.Context(), redisqueue.Bulk{DryRun: true})
		}},
		"parked": {"\r\nhscan\r\n", "parked:q\r\n$1\r\n0\r\n", func(b *redisqueue.Backend, _ *redisqueue.Queue) (int, error) {
			views, err := b.Jobs(t.Context(), "q", domain.JobFilter{State: domain.StateParked, Limit: 2 * jobs})
			return len(views), err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			place := ""
			if name == "parked" {
				place = "delayed"
				const lua = `for i = 0, tonumber(ARGV[1]) - 1 do redis.call('HSET', 'takt:{bull}:default:parked:q', 'j' .. i, 'n') end return 1`
				if err := r.rdb.Eval(t.Context(), lua, []string{"bull:q:meta"}, jobs).Err(); err != nil {
					t.Fatal(err)
				}
			}
			r.fill(place, jobs)
			p := proxy.Start(t, r.server.Addr)
			begun := loseSecond(p, c.command, func(request []byte) bool { return bytes.Contains(request, []byte(c.from)) })
			backend := open(t, r.server, func(config *redisqueue.Config) { config.Connection.Addr = p.Addr })
			queue, err := backend.Queue("q")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := c.scan(backend, queue); err != nil || n != jobs {
				t.Errorf("%s = %d, %v, want %d", name, n, err, jobs)
			}
			if lost := p.Count(proxy.DropReply); lost != 1 || *begun != 1 {
				t.Errorf("%d replies were lost and %d scans begun, want one of each", lost, *begun)
			}
		})
	}
}
