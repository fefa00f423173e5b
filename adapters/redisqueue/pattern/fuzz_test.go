package pattern_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

// bound is how long one search may take, on a machine with much else to do.
const bound = 2 * time.Second

func FuzzPattern(f *testing.F) {
	for _, seed := range []struct {
		expression, zone string
		after            int64
	}{
		{"30 2 * * *", "Europe/Paris", 1711850000},
		{"15 1,2 * * 0", "Australia/Lord_Howe", 1712415600},
		{"0 0 31 4,6 *", "Pacific/Apia", 1325100000},
		{"59 59 23 L 2 5L", "utc+5:30", -2208988800},
		{"0 0 * 2 1#5", "America/Havana", 253402300799},
		{"*/7 9-17 ? JAN-mar 2/2", "asia/ho_chi_minh", 0},
		{"@weekdays", "PST", 8640000000000},
		{"H 5 * * *", "", 1},
	} {
		f.Add(seed.expression, seed.zone, seed.after)
	}
	f.Fuzz(func(t *testing.T, expression, zone string, seconds int64) {
		began := time.Now()
		p, err := pattern.Parse(expression, zone)
		if err != nil {
			return
		}
		after := time.Unix(seconds, 0)
		next, ok := p.Next(after)
		if ok && !next.After(after) {
			t.Errorf("%q in %q: Next(%d) = %d, want it later", expression, zone, seconds, next.Unix())
		}
		if took := time.Since(began); took > bound {
			t.Errorf("%q in %q after %d took %s, want less than %s", expression, zone, seconds, took, bound)
		}
	})
}

func FuzzRepeat(f *testing.F) {
	f.Add(`{"pattern":"0 3 * * *","tz":"Europe/Paris","count":4,"limit":"9","startDate":"2024-05-01"}`, int64(0), int64(1717200000000))
	f.Add(`{"every":1e300,"offset":-5,"endDate":"2024-05-01T10:00Z"}`, int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, text string, prev, now int64) {
		var r pattern.Repeat
		if json.Unmarshal([]byte(text), &r) != nil {
			return
		}
		next, ok, err := pattern.NextRun(r, prev, now)
		if ok && (err != nil || r.Pattern != "" && next <= now) {
			t.Errorf("NextRun(%+v, %d, %d) = %d, %v, want it later", r, prev, now, next, err)
		}
	})
}
