package pattern_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

func TestRepeatIsReadFromTheOptionsOfAJob(t *testing.T) {
	t.Parallel()
	may := time.Date(2024, 5, 1, 10, 30, 0, 0, time.UTC).UnixMilli()
	local := time.Date(2024, 5, 1, 10, 30, 0, 0, time.Local).UnixMilli()
	for text, want := range map[string]pattern.Repeat{
		`{"pattern":"0 3 * * *","tz":"Europe/Paris","count":4,"offset":0}`:                              {Pattern: "0 3 * * *", TZ: "Europe/Paris", Count: 4},
		`{"every":60000,"offset":1200,"limit":10,"count":1}`:                                            {Every: 60000, Offset: 1200, Limited: true, Limit: 10, Count: 1},
		`{"every":"60000","limit":"10","count":"2"}`:                                                    {Every: 60000, Limited: true, Limit: 10, Count: 2},
		`{"every":1500.75,"limit":0}`:                                                                   {Every: 1500, Limited: true},
		`{"cron":"* * * * *","utc":true,"tz":"Asia/Tokyo"}`:                                             {Pattern: "* * * * *", TZ: "utc"},
		`{"cron":"0 0 * * *","pattern":"* * * * *","utc":"yes"}`:                                        {Pattern: "* * * * *"},
		`{"startDate":1714559400000,"endDate":1714559400000.9}`:                                         {StartDate: may, EndDate: may},
		`{"startDate":"2024-05-01T10:30:00.000Z","endDate":"2024-05-01T12:30+02:00"}`:                   {StartDate: may, EndDate: may},
		`{"startDate":"2024-05-01T10:30:00","endDate":"2024-05-01T10:30"}`:                              {StartDate: local, EndDate: local},
		`{"startDate":"2024-05-01","endDate":"1714559400000"}`:                                          {StartDate: may - 37_800_000, EndDate: may},
		`{"every":1e300,"offset":-1e300,"limit":{},"count":[1]}`:                                        {Every: 8_640_000_000_000_000, Offset: -8_640_000_000_000_000},
		`{"pattern":null,"tz":null,"startDate":null,"endDate":null,"limit":null,"every":null,"key":{}}`: {},
		`{"Pattern":"* * * * *","EVERY":5}`:                                                             {},
		`{"pattern":"0 3 * * 1","nthDayOfWeek":2}`:                                                      {Pattern: "0 3 * * 1", NthWeekday: 2},
		`{}`:   {},
		`null`: {},
	} {
		var got pattern.Repeat
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("Unmarshal(%s) = %v, want none", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Unmarshal(%s) (-want +got):\n%s", text, diff)
		}
	}
}

func TestRepeatThatCannotBeUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[]`, `"* * * * *"`, `5`, `{"pattern":5}`, `{"pattern":{"a":1}}`, `{"tz":60}`, `{"startDate":"soon"}`, `{"endDate":{}}`, `{"endDate":true}`,
	} {
		got := pattern.Repeat{Count: 7}
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("Unmarshal(%s) = %+v, want an error", text, got)
		}
		if got != (pattern.Repeat{Count: 7}) {
			t.Errorf("Unmarshal(%s) left %+v, want it untouched", text, got)
		}
	}
}

// minute returns the milliseconds of a minute of an hour.
func minute(n int64) int64 { return 1_717_200_000_000 + n*60_000 }

func TestNextRun(t *testing.T) {
	t.Parallel()
	every := pattern.Repeat{Every: 10 * 60_000, Count: 1}
	cron := pattern.Repeat{Pattern: "*/10 * * * *", TZ: "UTC", Count: 1}
	with := func(r pattern.Repeat, change func(*pattern.Repeat)) pattern.Repeat {
		change(&r)
		return r
	}
	const none = -1
	for _, c := range []struct {
		name            string
		repeat          pattern.Repeat
		prev, now, want int64
	}{
		{"a pattern goes on from now", cron, minute(10), minute(12), minute(20)},
		{"a pattern goes on from the job if that is early", cron, minute(10), minute(9), minute(20)},
		{"a pattern goes on from now if the job is unknown", cron, 0, minute(12), minute(20)},
		{"missed runs of a pattern are not made up for", cron, minute(10), minute(45), minute(50)},
		{"a match at now is over", cron, minute(10), minute(20), minute(30)},
		{"a pattern begins after its start", with(cron, func(r *pattern.Repeat) { r.StartDate = minute(30) }), 0, minute(5), minute(40)},
		{"a start in the past means nothing", with(cron, func(r *pattern.Repeat) { r.StartDate = minute(1) }), minute(10), minute(12), minute(20)},
		{"a pattern runs at its end", with(cron, func(r *pattern.Repeat) { r.EndDate = minute(20) }), minute(10), minute(12), minute(20)},
		{"a pattern does not run after its end", with(cron, func(r *pattern.Repeat) { r.EndDate = minute(20) - 1 }), minute(10), minute(12), none},
		{"nothing follows the end", with(every, func(r *pattern.Repeat) { r.EndDate = minute(11) }), minute(10), minute(12), none},
		{"an interval runs once after its end", with(every, func(r *pattern.Repeat) { r.EndDate = minute(12) }), minute(10), minute(12), minute(20)},
		{"the last of a limited number is made", with(cron, func(r *pattern.Repeat) { r.Limited, r.Limit = true, 2 }), minute(10), minute(12), minute(20)},
		{"none is made beyond the limit", with(cron, func(r *pattern.Repeat) { r.Limited, r.Limit, r.Count = true, 2, 2 }), minute(10), minute(12), none},
		{"a limit of zero stops an interval", with(every, func(r *pattern.Repeat) { r.Limited = true }), minute(10), minute(12), none},
		{"a pattern without match stops", with(cron, func(r *pattern.Repeat) { r.Pattern = "0 0 31 4,6 *" }), minute(10), minute(12), none},
		{"an interval goes on from the job", every, minute(13), minute(15), minute(23)},
		{"an interval may be due at now", every, minute(13), minute(23), minute(23)},
		{"missed runs of an interval are not made up for", every, minute(3), minute(45), minute(50)},
		{"an interval keeps its offset", with(every, func(r *pattern.Repeat) { r.Offset = 3 * 60_000 }), minute(3), minute(45), minute(53)},
		{"an offset may lie ahead in the same slot", with(every, func(r *pattern.Repeat) { r.Offset = 8 * 60_000 }), minute(8), minute(45), minute(48)},
		{"a first run is at once", every, 0, minute(12), minute(12)},
		{"a first run is at the start", with(every, func(r *pattern.Repeat) { r.StartDate = minute(30) }), 0, minute(12), minute(30)},
		{"a first run with an offset is at its slot", with(every, func(r *pattern.Repeat) { r.Offset = 3 * 60_000 }), 0, minute(12), minute(13)},
		{"instants beyond all time are no match", cron, math.MaxInt64, minute(1), none},
	} {
		next, ok, err := pattern.NextRun(c.repeat, c.prev, c.now)
		if err != nil || ok != (c.want != none) || ok && next != c.want {
			t.Errorf("%s: NextRun = minute %d, %v, %v, want minute %d", c.name, (next-minute(0))/60_000, ok, err, (c.want-minute(0))/60_000)
		}
	}
}

func TestNextRunOfWhatCannotRepeatIsAnError(t *testing.T) {
	t.Parallel()
	for _, r := range []pattern.Repeat{
		{}, {Every: -5}, {Every: 5, Pattern: "* * * * *"}, {Pattern: "no"}, {Pattern: "* * * * *", TZ: "Mars/Base"},
	} {
		if next, ok, err := pattern.NextRun(r, 0, minute(1)); err == nil || ok {
			t.Errorf("NextRun(%+v) = %d, %v, want an error", r, next, ok)
		}
	}
}
