package redisqueue_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue"
	"github.com/taktwork/takt/core/domain"
)

func TestOptionsAreWrittenAsBullMQKeepsThem(t *testing.T) {
	for _, c := range []struct {
		options domain.JobOptions
		want    string
	}{
		{domain.JobOptions{}, `{"attempts":0}`},
		{domain.JobOptions{Attempts: 3, ID: `a"b/<é`}, `{"attempts":3,"jobId":"a\"b/<é"}`},
		{domain.JobOptions{Delay: 1500 * time.Millisecond, Priority: 7, LIFO: true}, `{"attempts":0,"delay":1500,"priority":7,"lifo":true}`},
		{domain.JobOptions{Backoff: domain.Backoff{Delay: time.Second}}, `{"attempts":0,"backoff":{"type":"fixed","delay":1000}}`},
		{
			domain.JobOptions{Backoff: domain.Backoff{Kind: domain.BackoffExponential, Delay: time.Second, Jitter: 0.5}},
			`{"attempts":0,"backoff":{"type":"exponential","delay":1000,"jitter":0.5}}`,
		},
		{domain.JobOptions{KeepCompleted: domain.KeepNone(), KeepFailed: domain.KeepLast(5)}, `{"attempts":0,"removeOnComplete":true,"removeOnFail":{"count":5}}`},
		{domain.JobOptions{KeepCompleted: domain.KeepFor(1500 * time.Millisecond)}, `{"attempts":0,"removeOnComplete":{"age":2}}`},
		{
			domain.JobOptions{KeepFailed: domain.Retention{Limited: true, Age: time.Minute, PerFinish: 9}},
			`{"attempts":0,"removeOnFail":{"age":60,"limit":9}}`,
		},
		{
			domain.JobOptions{KeepCompleted: domain.Retention{Limited: true, Count: 2, Age: time.Minute}},
			`{"attempts":0,"removeOnComplete":{"age":60,"count":2}}`,
		},
		{
			domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", TTL: time.Second}},
			`{"attempts":0,"de":{"id":"k","ttl":1000}}`,
		},
		{
			domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupDebounce, TTL: time.Second}},
			`{"attempts":0,"de":{"id":"k","ttl":1000,"extend":true,"replace":true}}`,
		},
		{
			domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupReplaceOrKeepLast}},
			`{"attempts":0,"de":{"id":"k","replace":true,"keepLastIfActive":true}}`,
		},
		{
			domain.JobOptions{Deduplication: domain.Deduplication{Key: "k", Mode: domain.DedupReschedule}},
			`{"attempts":0,"de":{"id":"k","reschedule":true}}`,
		},
	} {
		got := redisqueue.EncodeOptions(&c.options)
		if got != c.want {
			t.Errorf("EncodeOptions(%+v) = %s, want %s", c.options, got, c.want)
		}
		if c.options.KeepCompleted.Age%time.Second != 0 || (c.options.Backoff.Delay > 0 && c.options.Backoff.Kind == "") {
			continue
		}
		// The priority that counts stands beside the options.
		c.options.Priority = 0
		if diff := cmp.Diff(c.options, redisqueue.DecodeOptions(got).JobOptions); diff != "" {
			t.Errorf("DecodeOptions(%s) (-want +got):\n%s", got, diff)
		}
	}
}

// decoded returns options as they are without any members, with a change.
func decoded(change func(*redisqueue.WireOptions)) redisqueue.WireOptions {
	o := redisqueue.WireOptions{Completed: "-1", Failed: "-1", StackTraces: -1}
	if change != nil {
		change(&o)
	}
	return o
}

type decodeCase struct {
	text   string
	change func(*redisqueue.WireOptions)
}

func fixedBackoff(d time.Duration) func(*redisqueue.WireOptions) {
	return func(o *redisqueue.WireOptions) {
		o.Backoff = domain.Backoff{Kind: domain.BackoffFixed, Delay: d}
	}
}

func kept(keep domain.Retention, script string) func(*redisqueue.WireOptions) {
	return func(o *redisqueue.WireOptions) { o.KeepCompleted, o.Completed = keep, script }
}

func attempts(n int) func(*redisqueue.WireOptions) {
	return func(o *redisqueue.WireOptions) { o.Attempts = n }
}

func backoffCases() []decodeCase {
	return []decodeCase{
		{`{"backoff":1000}`, fixedBackoff(time.Second)},
		{`{"backoff":{"type":"fixed","delay":1000}}`, fixedBackoff(time.Second)},
		{`{"backoff":{"type":"fixed","delay":-5}}`, fixedBackoff(0)},
		{`{"backoff":{"type":"fixed","delay":1e300}}`, fixedBackoff(domain.MaxDelay)},
		{`{"backoff":-1}`, fixedBackoff(domain.NoRetry)},
		{`{"backoff":{"delay":-1}}`, fixedBackoff(domain.NoRetry)},
		{`{"backoff":{"type":"mine","delay":5,"jitter":0.5}}`, func(o *redisqueue.WireOptions) {
			o.Backoff = domain.Backoff{Kind: "mine", Delay: 5 * time.Millisecond, Jitter: 0.5}
		}},
		{`{"backoff":{"type":"mine","delay":-1}}`, func(o *redisqueue.WireOptions) { o.Backoff.Kind = "mine" }},
		{`{"backoff":{"type":"fixed","delay":-1,"jitter":0.5}}`, fixedBackoff(domain.NoRetry)},
		{`{"backoff":{"type":"exponential","delay":50,"jitter":7}}`, func(o *redisqueue.WireOptions) {
			o.Backoff = domain.Backoff{Kind: domain.BackoffExponential, Delay: 50 * time.Millisecond, Jitter: 1}
		}},
		{`{"backoff":{}}`, nil},
		{`{"backoff":[]}`, nil},
		{`{"backoff":"fixed"}`, nil},
		{`{"backoff":null}`, nil},
	}
}

func retentionCases() []decodeCase {
	return []decodeCase{
		{`{"removeOnComplete":true}`, kept(domain.KeepNone(), "0")},
		{`{"removeOnComplete":false}`, kept(domain.Retention{}, "-1")},
		{`{"removeOnComplete":5}`, kept(domain.KeepLast(5), "5")},
		{`{"removeOnComplete":0}`, kept(domain.KeepNone(), "0")},
		{`{"removeOnComplete":-3}`, kept(domain.Retention{}, "-1")},
		{`{"removeOnComplete":1.9}`, kept(domain.KeepLast(1), "1")},
		{`{"removeOnComplete":1e300}`, kept(domain.KeepLast(math.MaxInt32), "2147483647")},
		{`{"removeOnComplete":{"count":2}}`, kept(domain.KeepLast(2), "2")},
		{`{"removeOnComplete":{"age":60}}`, kept(domain.KeepFor(time.Minute), "-1,60")},
		{`{"removeOnComplete":{"age":60,"count":2,"limit":9}}`, kept(domain.Retention{Limited: true, Count: 2, Age: time.Minute, PerFinish: 9}, "2,60,9")},
		{`{"removeOnComplete":{"age":60,"limit":0}}`, kept(domain.KeepFor(time.Minute), "-1,60,0")},
		{`{"removeOnComplete":{"age":60,"limit":1e300}}`, kept(domain.Retention{Limited: true, Age: time.Minute, PerFinish: math.MaxInt32}, "-1,60,2147483647")},
		{`{"removeOnComplete":{"age":60,"limit":"x"}}`, nil},
		{`{"removeOnComplete":{"count":2,"limit":9}}`, kept(domain.KeepLast(2), "2")},
		{`{"removeOnComplete":{"age":-60,"limit":-9}}`, kept(domain.Retention{Limited: true}, "-1,0")},
		{`{"removeOnComplete":{"count":"x"}}`, nil},
		{`{"removeOnComplete":[]}`, nil},
		{`{"removeOnComplete":"yes"}`, nil},
	}
}

func otherOptionCases() []decodeCase {
	return []decodeCase{
		{``, nil},
		{`{`, nil},
		{`[]`, nil},
		{`null`, nil},
		{`"text"`, nil},
		{strings.Repeat("[", 20_000), nil},
		{`{"attempts":-1}`, nil},
		{`{"attempts":"3"}`, nil},
		{`{"attempts":1e9}`, attempts(domain.MaxAttempts)},
		{`{"attempts":1e999}`, nil},
		{`{"attempts":1.5}`, attempts(1)},
		{`{"attempts":2,"attempts":3}`, attempts(3)},
		{`{"attempts":{}}`, nil},
		{`{"lifo":true}`, func(o *redisqueue.WireOptions) { o.LIFO = true }},
		{`{"lifo":"true"}`, nil},
		{`{"lifo":1}`, nil},
		{`{"jobId":7}`, nil},
		{`{"jobId":"7"}`, func(o *redisqueue.WireOptions) { o.ID = "7" }},
		{`{"delay":0.5}`, nil},
		{`{"delay":-7}`, nil},
		{`{"delay":2500.7}`, func(o *redisqueue.WireOptions) { o.Delay = 2500 * time.Millisecond }},
		{`{"kl":3,"stackTraceLimit":2}`, func(o *redisqueue.WireOptions) { o.KeepLogs, o.StackTraces = 3, 2 }},
		{`{"kl":-3,"stackTraceLimit":-2}`, nil},
		{`{"kl":1e99,"stackTraceLimit":0}`, func(o *redisqueue.WireOptions) { o.KeepLogs, o.StackTraces = math.MaxInt32, 0 }},
		{`{"de":{"id":"k","ttl":5}}`, func(o *redisqueue.WireOptions) {
			o.Deduplication = domain.Deduplication{Key: "k", TTL: 5 * time.Millisecond}
		}},
		{`{"de":{"id":5}}`, nil},
		{`{"de":{"id":"","extend":true}}`, nil},
		{`{"de":{"id":"k","ttl":5,"extend":true}}`, dedups(domain.DedupExtend, 5*time.Millisecond)},
		{`{"de":{"id":"k","replace":true}}`, dedups(domain.DedupReplace, 0)},
		{`{"de":{"id":"k","keepLastIfActive":true,"ttl":5}}`, dedups(domain.DedupKeepLast, 0)},
		{`{"de":{"id":"k","replace":true,"extend":true,"keepLastIfActive":true}}`, dedups(domain.DedupReplaceOrKeepLast, 0)},
		{`{"de":{"id":"k","reschedule":true,"extend":true,"ttl":5}}`, dedups(domain.DedupReschedule, 5*time.Millisecond)},
		{`{"de":{"id":"k","replace":"yes"}}`, dedups(domain.DedupDrop, 0)},
		{`{"de":[]}`, nil},
	}
}

func dedups(mode domain.DeduplicationMode, ttl time.Duration) func(*redisqueue.WireOptions) {
	return func(o *redisqueue.WireOptions) {
		o.Deduplication = domain.Deduplication{Key: "k", Mode: mode, TTL: ttl}
	}
}

func TestOptionsOfAnyShapeAreRead(t *testing.T) {
	for _, cases := range [][]decodeCase{backoffCases(), retentionCases(), otherOptionCases()} {
		for _, c := range cases {
			if diff := cmp.Diff(decoded(c.change), redisqueue.DecodeOptions(c.text)); diff != "" {
				t.Errorf("DecodeOptions(%.80s) (-want +got):\n%s", c.text, diff)
			}
		}
	}
}

func FuzzOpts(f *testing.F) {
	for _, cases := range [][]decodeCase{backoffCases(), retentionCases(), otherOptionCases()} {
		for _, c := range cases {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := redisqueue.DecodeOptions(text)
		switch {
		case o.Attempts < 0 || o.Attempts > domain.MaxAttempts, o.Delay < 0, o.KeepLogs < 0, o.StackTraces < -1:
			t.Errorf("DecodeOptions(%q) = %+v, out of range", text, o)
		case o.Backoff.Retries() && o.Backoff.Delay < 0 || o.Backoff.Delay > domain.MaxDelay || o.Backoff.Jitter < 0 || o.Backoff.Jitter > 1:
			t.Errorf("DecodeOptions(%q) has the back-off %+v, out of range", text, o.Backoff)
		case o.KeepCompleted.Count < 0 || o.KeepCompleted.Age < 0 || o.KeepFailed.Count < 0 || o.KeepFailed.Age < 0 || o.Deduplication.TTL < 0:
			t.Errorf("DecodeOptions(%q) = %+v, out of range", text, o)
		}
		for _, script := range []string{o.Completed, o.Failed} {
			if strings.Trim(script, "-0123456789,") != "" || script == "" {
				t.Errorf("DecodeOptions(%q) has the retention %q, which no script reads", text, script)
			}
		}
		// What is read can be written, as JSON, and reads the same again.
		written := redisqueue.EncodeOptions(&o.JobOptions)
		if !json.Valid([]byte(written)) {
			t.Errorf("EncodeOptions(%+v) = %q, want JSON", o.JobOptions, written)
		}
		again := redisqueue.DecodeOptions(written)
		if again.Attempts != o.Attempts || again.LIFO != o.LIFO || again.Backoff.Kind != o.Backoff.Kind || again.KeepCompleted.Count != o.KeepCompleted.Count {
			t.Errorf("DecodeOptions(EncodeOptions(%+v)) = %+v", o.JobOptions, again.JobOptions)
		}
	})
}
