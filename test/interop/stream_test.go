package interop_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// entry is one entry of an event stream.
type entry map[string]string

// stream returns the events of the queue mail in order; those of the names
// only, if there are any.
func (l *lab) stream(names ...string) []entry {
	l.t.Helper()
	var entries []entry
	for _, message := range must(l.t, l.redis.XRange(l.t.Context(), key("events"), "-", "+")) {
		e := entry{}
		for field, value := range message.Values {
			e[field] = fmt.Sprint(value)
		}
		if len(names) == 0 || slices.Contains(names, e["event"]) {
			entries = append(entries, e)
		}
	}
	return entries
}

// storyOf returns what the stream says of a job, an event a line: its name and
// then the fields that tell more, "waiting prev=active".
func (l *lab) storyOf(id string) []string {
	l.t.Helper()
	var lines []string
	for _, e := range l.stream() {
		if e["jobId"] == id {
			lines = append(lines, e.line())
		}
	}
	return lines
}

func (e entry) line() string {
	line := e["event"]
	for _, field := range slices.Sorted(maps.Keys(e)) {
		if field != "event" && field != "jobId" {
			line += " " + field + "=" + e[field]
		}
	}
	return line
}

// number returns a field that holds an integer.
func (e entry) number(t *testing.T, field string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(e[field], 10, 64)
	if err != nil {
		t.Fatalf("event %v: field %s is no integer", e, field)
	}
	return n
}

// wantStory checks what the stream says of a job.
func (l *lab) wantStory(id string, want ...string) {
	l.t.Helper()
	if got := l.storyOf(id); !slices.Equal(got, want) {
		l.t.Errorf("events of job %s:\n\t%s\nwant:\n\t%s", id, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// hash returns the hash of a job of the queue mail.
func (l *lab) hash(id string) map[string]string {
	l.t.Helper()
	return must(l.t, l.redis.HGetAll(l.t.Context(), key(id)))
}

// wantHash checks fields of a job's hash; "-" means that the field is absent.
func (l *lab) wantHash(id string, want map[string]string) {
	l.t.Helper()
	hash := l.hash(id)
	for _, field := range slices.Sorted(maps.Keys(want)) {
		got, there := hash[field]
		if (want[field] == "-") == there || (there && got != want[field]) {
			l.t.Errorf("job %s: %s = %q (there: %t), want %q", id, field, got, there, want[field])
		}
	}
}

// field returns an integer of a job's hash.
func (l *lab) field(id, name string) int64 {
	l.t.Helper()
	return entry(l.hash(id)).number(l.t, name)
}

// list returns a list of ids of the queue mail, head first.
func (l *lab) list(name string) []string {
	l.t.Helper()
	return must(l.t, l.redis.LRange(l.t.Context(), key(name), 0, -1))
}

// scores returns a sorted set of the queue mail.
func (l *lab) scores(name string) map[string]float64 {
	l.t.Helper()
	scores := map[string]float64{}
	for _, z := range must(l.t, l.redis.ZRangeWithScores(l.t.Context(), key(name), 0, -1)) {
		scores[fmt.Sprint(z.Member)] = z.Score
	}
	return scores
}

// has reports whether a key of the queue mail is there.
func (l *lab) has(name string) bool {
	l.t.Helper()
	return must(l.t, l.redis.Exists(l.t.Context(), key(name))) == 1
}

// awaitState waits until Redis has the job in a sorted set of finished or
// delayed jobs.
func (l *lab) awaitIn(set, id string) {
	l.t.Helper()
	await(l.t, "job "+id+" in "+set, func() bool {
		return l.redis.ZScore(l.t.Context(), key(set), id).Err() == nil
	})
}

// awaitCount waits until a sorted set has n members.
func (l *lab) awaitCount(set string, n int) {
	l.t.Helper()
	await(l.t, fmt.Sprintf("%d jobs in %s", n, set), func() bool {
		return must(l.t, l.redis.ZCard(l.t.Context(), key(set))) == int64(n)
	})
}
