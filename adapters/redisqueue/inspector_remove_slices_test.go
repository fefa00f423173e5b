package redisqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/torture/proxy"
)

// clanLua stores a job that waits for children, of which some are ended.
//
//nolint:dupword // Lua
const clanLua = `
local p, pending, ended = 'bull:q:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function child(name)
  redis.call('HSET', p .. name, 'name', 'n', 'data', '{}', 'opts', '{}', 'timestamp', 1, 'priority', 0, 'parentKey', p, 'parent', '{}')
end
redis.call('HSET', p, 'name', 'n', 'data', '{}', 'opts', '{}', 'timestamp', 1, 'delay', 0, 'priority', 0)
redis.call('ZADD', 'bull:q:waiting-children', 1, ARGV[1])
for i = 1, pending do
  child('w' .. i)
  redis.call('SADD', p .. ':dependencies', p .. 'w' .. i)
  if ARGV[4] == 'wait' then
    redis.call('LPUSH', 'bull:q:wait', ARGV[1] .. 'w' .. i)
  else
    redis.call('ZADD', 'bull:q:' .. ARGV[4], i, ARGV[1] .. 'w' .. i)
  end
end
for i = 1, ended do
  child('e' .. i)
  redis.call('HSET', p .. ':processed', p .. 'e' .. i, '1')
  redis.call('ZADD', 'bull:q:completed', i, ARGV[1] .. 'e' .. i)
end
return 1`

// clan stores the parent p, whose children are pw1, pw2… and, those that are
// completed, pe1, pe2…; the others are in the place.
func (r *rawQueue) clan(p string, pending, ended int, place string) {
	r.Helper()
	if err := r.rdb.Eval(r.Context(), clanLua, []string{"bull:q:meta"}, p, pending, ended, place).Err(); err != nil {
		r.Fatalf("store a clan: %v", err)
	}
}

// crowd has many others wait in front.
func (r *rawQueue) crowd(n int) {
	r.Helper()
	const lua = `for i = 1, tonumber(ARGV[1]) do redis.call('LPUSH', 'bull:q:wait', 'other' .. i) end return 1`
	if err := r.rdb.Eval(r.Context(), lua, []string{"bull:q:meta"}, n).Err(); err != nil {
		r.Fatalf("fill the list: %v", err)
	}
}

// commands returns how many commands the server ran since its statistics were
// reset, those of scripts with them.
func (r *rawQueue) commands() int {
	r.Helper()
	total := 0
	for line := range strings.Lines(r.rdb.Info(r.Context(), "commandstats").Val()) {
		if _, rest, found := strings.Cut(line, ":calls="); found {
			value, _, _ := strings.Cut(rest, ",")
			n, _ := strconv.Atoi(value)
			total += n
		}
	}
	return total
}

// beforeEach returns a backend whose requests pass a proxy, which calls look
// before each call of the scripts.
func (r *rawQueue) beforeEach(look func(call int), scripts ...string) *redisqueue.Backend {
	r.Helper()
	loaded, err := redisqueue.Scripts()
	if err != nil {
		r.Fatal(err)
	}
	var digests []string
	for _, s := range loaded {
		if slices.Contains(scripts, s.Name) {
			digests = append(digests, r.rdb.ScriptLoad(r.Context(), s.Source).Val())
		}
	}
	p := proxy.Start(r, r.server.Addr)
	calls := 0
	p.Set(func(e proxy.Exchange) proxy.Verdict {
		named := func(digest string) bool { return bytes.Contains(e.Request, []byte(digest)) }
		if slices.ContainsFunc(digests, named) {
			calls++
			look(calls)
		}
		return proxy.Verdict{}
	})
	return open(r, r.server, func(c *redisqueue.Config) { c.Connection.Addr = p.Addr })
}

// Flows are removed, and looked through in a dry run, a part in each call.
func TestARemovalOfLargeFlowsWorksInSlices(t *testing.T) {
	const parents, children, most = 20, 499, 6000
	for _, dry := range []bool{true, false} {
		r := newRawQueue(t, nil)
		var ids []domain.JobID
		for i := range parents {
			id := fmt.Sprintf("p%d", i)
			r.clan(id, 0, children, "wait")
			ids = append(ids, domain.JobID(id))
		}
		op := remove(ids...)
		op.DryRun = dry
		r.do("CONFIG RESETSTAT")
		r.apply(op, ids...)
		calls := r.calls("evalsha")
		if each := r.commands() / max(calls, 1); each > most {
			t.Errorf("a removal (dry: %t) took %d commands in each of %d calls, want at most %d", dry, each, calls, most)
		}
		if left := r.rdb.ZCard(t.Context(), "bull:q:completed").Val(); !dry && left != 0 {
			t.Errorf("%d children are left", left)
		}
	}
}

// Between the calls of one removal no parent waits for children that are gone.
func TestARemovalThatStopsHalfWayStrandsNoParent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		crowd, pending, ended int
		place                 string
	}{
		{0, 199, 0, "wait"},
		{0, 200, 0, "prioritized"},
		{0, 201, 0, "prioritized"},
		{0, 2000, 0, "prioritized"},
		{0, 3, 450, "delayed"},
		{0, 250, 250, "wait"},
		{110_000, 2, 0, "wait"},
		{110_000, 2, 3, "wait"},
		{110_000, 1, 0, "wait"},
		{210_000, 1, 0, "wait"},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.crowd(c.crowd)
			r.clan("p", c.pending, c.ended, c.place)
			calls := 0
			backend := r.beforeEach(func(call int) {
				calls = call
				stuck := r.rdb.Exists(t.Context(), "bull:q:p:dependencies").Val() == 0 && r.rdb.ZScore(t.Context(), "bull:q:waiting-children", "p").Err() == nil
				if stuck {
					t.Errorf("before call %d job p waits for nothing", call)
				}
			}, "operate_delete")
			queue, err := backend.Queue("q")
			if err == nil {
				err = queue.Remove(t.Context(), "p", redisqueue.RemoveOptions{})
			}
			if err != nil {
				t.Errorf("Remove = %v, want no error", err)
			}
			if c.pending+c.ended > 200 && calls < 2 {
				t.Errorf("%d calls, want some", calls)
			}
			if left := r.rdb.Keys(t.Context(), "bull:q:p*").Val(); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

// takeTheOther has a worker take the child that is left once the other is gone.
func (r *rawQueue) takeTheOther(call int) {
	if call != 2 {
		return
	}
	for _, id := range []string{"pw1", "pw2"} {
		if r.rdb.Exists(r.Context(), "bull:q:"+id).Val() == 1 {
			r.rdb.Set(r.Context(), "bull:q:"+id+":lock", "t", 0)
		}
	}
}

// wantPartly checks that the error names what is gone below job p.
func wantPartly(t *testing.T, call string, err error, r *rawQueue) {
	t.Helper()
	var partly *redisqueue.PartlyRemovedError
	if !errors.Is(err, redisqueue.ErrLocked) || !errors.As(err, &partly) {
		t.Fatalf("%s = %v, want a removal broken off by a lock", call, err)
	}
	var left []redisqueue.JobRef
	for _, id := range []domain.JobID{"pw1", "pw2"} {
		if r.rdb.Exists(t.Context(), "bull:q:"+string(id)).Val() == 0 {
			left = append(left, redisqueue.JobRef{Queue: "q", ID: id})
		}
	}
	if partly.Job != (redisqueue.JobRef{Queue: "q", ID: "p"}) || len(left) != 1 || !slices.Equal(partly.Removed, left) {
		t.Errorf("%s = %+v, want job p and %v", call, partly, left)
	}
}

func TestARemovalThatALockBreaksOffTellsWhatIsGone(t *testing.T) {
	t.Parallel()
	for name, apply := range map[string]func(*redisqueue.Backend, *redisqueue.Queue) error{
		"one": func(_ *redisqueue.Backend, q *redisqueue.Queue) error {
			return q.Remove(t.Context(), "p", redisqueue.RemoveOptions{})
		},
		"many": func(b *redisqueue.Backend, _ *redisqueue.Queue) error {
			ids, err := b.Apply(t.Context(), "q", remove("p", "x"))
			if !slices.Equal(ids, []domain.JobID{"x"}) {
				t.Errorf("Apply = %v, want job x removed", ids)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawQueue(t, nil)
			r.crowd(110_000)
			r.clan("p", 2, 0, "wait")
			r.do("HSET bull:q:x name n timestamp 1")
			backend := r.beforeEach(r.takeTheOther, "operate_delete", "operate_remove")
			queue, err := backend.Queue("q")
			if err != nil {
				t.Fatal(err)
			}
			wantPartly(t, name, apply(backend, queue), r)
			r.wantKey("bull:q:p", true)
		})
	}
}
