package interop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // whatever the machine has

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
	"github.com/taktwork/takt/test/interop/node"
)

// cronParsers are the parsers of patterns that the versions of BullMQ carry.
type cronParsers struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func startCronParsers(t *testing.T) *cronParsers {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "cron.js")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &cronParsers{t: t, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	t.Logf("zone data of node: %s; those of Go are of its own release (time/tzdata)", c.read())
	return c
}

func (c *cronParsers) read() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("cron.js ended: %v", c.out.Err())
	}
	return c.out.Text()
}

// question is a pattern in a zone and the second after which a match is
// looked for.
type question struct {
	expression, zone string
	after            int64
}

// ask returns what each version answers: the second of the next match, none or
// refused.
func (c *cronParsers) ask(q question) map[string]string {
	c.t.Helper()
	line, err := json.Marshal([]any{q.expression, q.zone, q.after})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		c.t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.read()), &raw); err != nil {
		c.t.Fatal(err)
	}
	answers := map[string]string{}
	for version, answer := range raw {
		answers[version] = strings.Trim(strings.Replace(string(answer), "null", "none", 1), `"`)
	}
	return answers
}

// takts returns Takt's answer.
func (q question) takts() string {
	p, err := pattern.Parse(q.expression, q.zone)
	if err != nil {
		return "refused"
	}
	next, found := p.Next(time.Unix(q.after, 0))
	if !found {
		return "none"
	}
	return strconv.FormatInt(next.Unix(), 10)
}

// changes tells whether the clock of the zone changes near the question or the
// answer: where it does, versions 4.9 and 5.10 of cron-parser differ.
func (q question) changes(answers ...string) bool {
	zone, err := time.LoadLocation(q.zone)
	if err != nil {
		return false
	}
	const days = 2
	for _, text := range append(answers, strconv.FormatInt(q.after, 10)) {
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue
		}
		_, before := time.Unix(at, 0).AddDate(0, 0, -days).In(zone).Zone()
		_, after := time.Unix(at, 0).AddDate(0, 0, days).In(zone).Zone()
		if before != after {
			return true
		}
	}
	return false
}

// patternMaker makes up patterns, most of them right.
type patternMaker struct{ *rand.Rand }

func (m patternMaker) of(texts ...string) string { return texts[m.IntN(len(texts))] }

// item returns one item of a field from low to high.
func (m patternMaker) item(low, high int) string {
	n := func() int { return low + m.IntN(high-low+1) }
	from, to := n(), n()
	if from > to && m.IntN(10) > 0 {
		from, to = to, from
	}
	switch m.IntN(12) {
	case 0:
		return fmt.Sprintf("%d-%d", from, to)
	case 1:
		return fmt.Sprintf("%d-%d/%d", from, to, 1+m.IntN(7))
	case 2:
		return fmt.Sprintf("*/%d", 1+m.IntN(20))
	case 3:
		return fmt.Sprintf("%d/%d", from, 1+m.IntN(7))
	case 4, 5, 6, 7:
		return strconv.Itoa(from)
	}
	return "*"
}

func (m patternMaker) field(low, high int, special ...string) string {
	text := m.item(low, high)
	if m.IntN(6) == 0 && len(special) > 0 {
		text = m.of(special...)
	}
	for m.IntN(6) == 0 {
		text += "," + m.item(low, high)
	}
	return text
}

func (m patternMaker) pattern() string {
	if m.IntN(60) == 0 {
		return m.of("@yearly", "@monthly", "@weekly", "@daily", "@hourly", "@annually", "@weekdays", "@weekends", "@minutely")
	}
	minute := m.of(strconv.Itoa(m.IntN(60)), m.field(0, 59))
	hour := m.of(strconv.Itoa(m.IntN(24)), m.field(0, 23))
	day, month, weekday := m.of("*", "*", m.field(1, 31, "L", "?")), m.of("*", "*", m.field(1, 12, "jan", "FEB", "mar-oct")), m.of("*", m.field(0, 7, "mon", "Fri", "mon-fri", "5L", "0L", "2#1", "5#2", "?"))
	fields := []string{minute, hour, day, month, weekday}
	if m.IntN(5) == 0 {
		fields = append([]string{m.of("0", "30", m.field(0, 59))}, fields...)
	}
	if m.IntN(30) == 0 {
		fields = fields[m.IntN(len(fields)-1)+1:]
	}
	return strings.Join(fields, " ")
}

func (m patternMaker) question() question {
	zone := m.of("UTC", "Europe/Paris", "Europe/London", "America/New_York", "America/Los_Angeles", "America/St_Johns", "Asia/Kolkata",
		"Asia/Kathmandu", "Asia/Tokyo", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "America/Sao_Paulo",
		"Africa/Lagos", "America/Phoenix")
	const begin, end = 1_704_067_200, 1_893_456_000 // 2024 to 2030
	return question{expression: m.pattern(), zone: zone, after: begin + m.Int64N(end-begin)}
}

// clockChanges are questions about changes of the clock in which the parsers
// differ: midnight comes twice, the change is of half an hour or of two hours.
func clockChanges() []question {
	return []question{
		{"0 0 * * *", "America/Havana", 1730563200},
		{"30 0 * * *", "America/Havana", 1793503800},
		{"*/15 * * * *", "Australia/Lord_Howe", 1728142199},
		{"5 */2 * * *", "Antarctica/Troll", 1743293700},
		{"30 2 * * *", "Europe/Paris", 1743206400},
		{"30 2 * * *", "Europe/Paris", 1761350400},
		{"30 1 * * *", "America/New_York", 1762056000},
	}
}

// What a pattern is that may be scheduled must not depend on which version
// plans its runs, nor on whether Takt does.
func TestPatternsOfSchedulersMeanTheSameToAllVersions(t *testing.T) {
	t.Parallel()
	leaveOut(t, false)
	count := 2500
	if everything() {
		count = 60_000
	}
	parsers := startCronParsers(t)
	maker := patternMaker{rand.New(rand.NewPCG(5, 2026))}
	counts := map[string]int{}
	questions := clockChanges()
	for range count {
		questions = append(questions, maker.question())
	}
	for _, q := range questions {
		counts[comparePattern(t, q, parsers.ask(q))]++
	}
	t.Logf("%d questions: %v", count, counts)
	if counts["agreed"] < count/2 {
		t.Errorf("%d of %d patterns may be scheduled and mean the same to all, want most", counts["agreed"], count)
	}
	for _, kind := range []string{"refused, not alike", "refused by all", "near a change of the clock"} {
		if counts[kind] == 0 {
			t.Errorf("no pattern was %s, want some", kind)
		}
	}
}

// comparePattern checks one pattern and says which kind it is.
func comparePattern(t *testing.T, q question, answers map[string]string) string {
	t.Helper()
	takt, five, six := q.takts(), answers[node.V5First], answers[node.V6]
	if answers[node.V5Last] != five {
		t.Errorf("%q in %s after %d: 5.70.1 says %s, 5.81.5 %s", q.expression, q.zone, q.after, five, answers[node.V5Last])
	}
	err := pattern.Check(q.expression, q.zone)
	switch {
	case err == nil && takt == five && takt == six:
		return "agreed"
	case err == nil && takt == five && q.changes(five, six):
		return "near a change of the clock"
	case err == nil:
		t.Errorf("%q in %s after %d: takt says %s and schedules it, BullMQ 5 says %s, BullMQ 6 %s", q.expression, q.zone, q.after, takt, five, six)
		return "wrong"
	case takt == "refused" && five == "refused" && six == "refused":
		return "refused by all"
	case takt == "refused":
		return "refused by takt alone or with one"
	case five != six:
		return "refused, not alike"
	}
	return "refused, alike this time"
}
