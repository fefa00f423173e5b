package redisqueue_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestStackTracesAreKeptWithinBounds(t *testing.T) {
	failure := domain.Outcome{Reason: "no", Stack: "at x"}
	long := domain.Outcome{Reason: strings.Repeat("r", domain.MaxReason), Stack: strings.Repeat("s", domain.MaxStack)}
	for _, c := range []struct {
		name, before string
		limit, want  int
		outcome      domain.Outcome
	}{
		{"the first", "", -1, 1, failure},
		{"one more", `["a","b"]`, -1, 3, failure},
		{"the newest two", `["a","b"]`, 2, 2, failure},
		{"none", `["a","b"]`, 0, 0, failure},
		{"after what is no list", `{"a":1}`, -1, 1, failure},
		{"after what is not JSON", `["a"`, -1, 1, failure},
		{"not more than so many bytes", `["` + strings.Repeat("a", 80_000) + `","b"]`, -1, 2, failure},
		{"the newest whatever its size", `["a"]`, -1, 1, domain.Outcome{Reason: "no", Stack: strings.Repeat("\x01", domain.MaxStack)}},
		{"of the longest kind", `["a"]`, -1, 2, long},
		{"with bytes that are no text", "", -1, 1, domain.Outcome{Reason: "\xff\x00", Stack: "\xc3"}},
	} {
		got := redisqueue.StackTraces(c.before, c.limit, c.outcome)
		var traces []string
		if err := json.Unmarshal([]byte(got), &traces); err != nil || len(traces) != c.want || !utf8.ValidString(got) {
			t.Errorf("%s: stack traces = %.80q, %v, want a list of %d", c.name, got, err, c.want)
		}
	}
}

func TestTheStackIsToldFromTheReason(t *testing.T) {
	for _, c := range []struct{ stacks, reason, want string }{
		{`["Error: no\nat x"]`, "no", "at x"},
		{`["Error: no"]`, "no", ""},
		{`["old","Error: two\nlines\nat x"]`, "two\nlines", "at x"},
		{`["TypeError: no\nat x"]`, "no", "TypeError: no\nat x"},
		{`[]`, "no", ""},
		{`["\u0000x"]`, "no", "x"},
		{`"text"`, "no", ""},
		{`[1]`, "no", ""},
		{``, "", ""},
	} {
		if got := redisqueue.LatestStack(c.stacks, c.reason); got != c.want {
			t.Errorf("LatestStack(%s, %q) = %q, want %q", c.stacks, c.reason, got, c.want)
		}
	}
}

// jobFields are the names of a job's fields that workers read.
var jobFields = []string{
	"name", "data", "opts", "timestamp", "delay", "priority", "ats", "atm", "attemptsMade", "stc", "stacktrace", "defa", "rjk",
	"parentKey", "parent", "deid", "parked", "failedReason",
}

// FuzzJobHash puts hashes with two arbitrary fields beside a good job: both
// are leased, and both finish.
func FuzzJobHash(f *testing.F) {
	for _, seed := range []struct {
		fields uint32
		a, b   string
	}{
		{0, "", ""},
		{0xffffffff, "1", "{}"},
		{1, "n", ""},
		{0b111, "n", `{"attempts":2}`},
		{0xffff, "NaN", "-1"},
		{0x3ffff, "\x00\xff", "9e999"},
		{0b1000000000000001, "bull:q:p", "[[["},
		{0b11 << 12, `["a"]`, "inf"},
	} {
		f.Add(seed.fields, seed.a, seed.b)
	}
	r := newRawQueue(f, nil)
	c := r.consumer()
	f.Fuzz(func(t *testing.T, fields uint32, a, b string) {
		r.TB = t
		r.rdb.FlushDB(t.Context())
		var pairs []any
		for i, name := range jobFields {
			if fields&(1<<i) != 0 {
				pairs = append(pairs, name, []string{a, b}[i%2])
			}
		}
		if len(pairs) > 0 {
			r.rdb.HSet(t.Context(), "bull:q:bad", pairs...)
		}
		r.rdb.LPush(t.Context(), "bull:q:wait", "bad")
		r.do("HSET bull:q:good name n data {} opts {} timestamp 1 delay 0 priority 0", "LPUSH bull:q:wait good")
		var settlements []domain.Settlement
		for len(settlements) < 2 {
			for _, lease := range reserve(t, c, 2) {
				if lease.Refused == "" && lease.Job.Name == "" && fields&1 == 0 {
					t.Errorf("a job without a name is handed out")
				}
				if len(lease.Refused) > domain.MaxReason || lease.For > time.Minute {
					t.Errorf("lease = %+v, out of bounds", lease)
				}
				settlements = append(settlements, domain.Settlement{Lease: lease.Ref(), Outcome: domain.Outcome{Kind: domain.Failed, Reason: "no"}})
			}
		}
		if reply, err := c.Settle(t.Context(), settlements, 0); err != nil || reply.Statuses[0] != domain.Settled || reply.Statuses[1] != domain.Settled {
			t.Errorf("Settle = %v, %v, want both settled", reply.Statuses, err)
		}
		if views := r.views(domain.JobFilter{State: domain.StateFailed}); len(views) == 0 {
			t.Errorf("Jobs(failed) = none, want the good job at least")
		}
	})
}

// FuzzScriptReply reads arbitrary bytes as the replies of all scripts: they
// are errors, not panics.
func FuzzScriptReply(f *testing.F) {
	for _, seed := range []string{
		"", "\x90", "\x80", "\x92\x01\xa11", "\xdd\xff\xff\xff\xff", "\xdc\xff\xff", "\xdb\xff\xff\xff\xff", "\xda\x00", "\xd9\x05abc",
		"\xce\x7f\xff\xff\xff", "\xc0\xc0\xc0", "\n0\n", "\nl5\n", "+1:a", ",1:a1:5", ".1:a-", "+9999999999999999999:", "+-1:", "0,-1,x\nr",
	} {
		f.Add(seed, uint8(2), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, count, cuts uint8) {
		n := int(count % 8)
		redisqueue.ReadReply(text, n)
		redisqueue.ReadReply(pieces(text, int(cuts%8)), n)
		redisqueue.ReadReply([]any{text, nil, int64(-1), []any{text}}, n)
		redisqueue.ReadReply(nil, n)
		lease, rest, err := redisqueue.ReadLease(pieces(text, int(cuts%8)))
		if err == nil && rest < 0 {
			t.Errorf("ReadLease(%q) = %+v with %d parts left", text, lease, rest)
		}
	})
}

// pieces cuts the text into so many pieces, as a reply has several strings.
func pieces(text string, n int) []any {
	var parts []any
	for i := range n {
		cut := len(text) * i / n
		parts = append(parts, text[cut:len(text)*(i+1)/n])
	}
	return parts
}
