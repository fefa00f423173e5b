package torture_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taktwork/takt/test/redistest"
)

// tick is one planned moment of a scheduled job, as its job's id tells.
type tick struct {
	job string
	at  int64 // ms
}

func (t tick) id() string { return fmt.Sprintf("tick.%s.%d", t.job, t.at) }

func parseTick(id string) (tick, error) {
	rest, found := strings.CutPrefix(id, "tick.")
	at := strings.LastIndexByte(rest, '.')
	if !found || at < 0 {
		return tick{}, fmt.Errorf("job %s is not of a tick", id)
	}
	ms, err := strconv.ParseInt(rest[at+1:], 10, 64)
	return tick{job: rest[:at], at: ms}, err
}

// expectTicks takes for accepted the job of each tick between the first and
// the last that was worked, of each scheduled job; and what lies off the grid
// of the interval for wrong.
func (e *evidence) expectTicks(interval time.Duration) (wrong []string) {
	first, last := map[string]int64{}, map[string]int64{}
	for _, seen := range e.effects {
		t, err := parseTick(seen.ID)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		if t.at%interval.Milliseconds() != 0 {
			wrong = append(wrong, fmt.Sprintf("job %s: no tick of every %s", seen.ID, interval))
		}
		if first[t.job] == 0 {
			first[t.job], last[t.job] = t.at, t.at
		}
		first[t.job], last[t.job] = min(first[t.job], t.at), max(last[t.job], t.at)
	}
	for _, job := range slices.Sorted(maps.Keys(first)) {
		for at := first[job]; at <= last[job]; at += interval.Milliseconds() {
			id := tick{job: job, at: at}.id()
			e.accepted = append(e.accepted, accepted{ID: id, Key: id})
		}
	}
	return wrong
}

func TestMissingAndDoubledTicksAreFound(t *testing.T) {
	worked := func(pid int, ms, at int64, started int) []effect {
		id := tick{job: "beat", at: ms}.id()
		return []effect{{began, pid, id, id, started, at}, {ended, pid, id, id, started, at + 1}}
	}
	for name, c := range map[string]struct {
		effects [][]effect
		want    string
	}{
		"all ticks once":         {[][]effect{worked(1, 1000, 10, 1), worked(1, 2000, 20, 1), worked(2, 3000, 30, 1)}, ""},
		"a tick is missing":      {[][]effect{worked(1, 1000, 10, 1), worked(2, 3000, 30, 1)}, "tick.beat.2000: lost"},
		"a tick is worked twice": {[][]effect{worked(1, 1000, 10, 1), worked(2, 1000, 15, 2)}, "nothing hit the first"},
		"a tick is added twice":  {[][]effect{worked(1, 1000, 10, 1), worked(1, 1000, 15, 1)}, "start 1 follows start 1"},
		"a tick off the grid":    {[][]effect{worked(1, 1500, 10, 1)}, "no tick of every 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			e := evidence{effects: slices.Concat(c.effects...)}
			wrong := e.expectTicks(time.Second)
			_, more := e.judge(rules{concurrency: 10, removes: true})
			wrong = append(wrong, more...)
			if c.want == "" && len(wrong) > 0 || !slices.ContainsFunc(append(wrong, ""), func(w string) bool { return strings.Contains(w, c.want) }) {
				t.Errorf("found %q, want %q", wrong, c.want)
			}
		})
	}
}

// judgedTicks judges a run of ticks whose jobs leave nothing behind.
func judgedTicks(t *testing.T, d desk, server *redistest.Server, r rules) tally {
	t.Helper()
	found, err := readContents(t.Context(), server.Client())
	if err != nil {
		t.Fatal(err)
	}
	e := d.gather(t, found)
	r.removes = true
	report(t, e.expectTicks(r.interval))
	sum, wrong := e.judge(r)
	t.Log(sum)
	report(t, wrong)
	return sum
}
