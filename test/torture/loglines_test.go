package torture_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// logLine is what the tests look at in a log.
type logLine struct {
	Time       time.Time `json:"time"`
	Message    string    `json:"msg"`
	Err        string    `json:"err"`
	JobID      string    `json:"job_id"`
	RunID      string    `json:"run_id"`
	unreadable string
}

func readLog(text string) []logLine {
	var lines []logLine
	for line := range strings.Lines(text) {
		var read logLine
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			read = logLine{unreadable: line}
		}
		lines = append(lines, read)
	}
	return lines
}

var serverError = regexp.MustCompile(`\b[A-Z]{3,}\b`)

// cause is what lines are counted by: the message, and what the server says.
func (l *logLine) cause() string { return l.Message + " " + serverError.FindString(l.Err) }

// leastGap is the time that must lie between two lines of one cause: a second,
// less what clocks and schedulers make of one.
const leastGap = 950 * time.Millisecond

// chatter returns what is wrong with a log: lines that are no records, and
// lines of one cause that follow each other too fast. What is said of a single
// job or run does not count.
func chatter(lines []logLine) []string {
	var wrong []string
	latest := map[string]time.Time{}
	for i := range lines {
		line := &lines[i]
		if line.unreadable != "" {
			wrong = append(wrong, fmt.Sprintf("log: %q is no record", line.unreadable))
			continue
		}
		if line.JobID != "" || line.RunID != "" {
			continue
		}
		cause := line.cause()
		if before, said := latest[cause]; said && line.Time.Sub(before) < leastGap {
			wrong = append(wrong, fmt.Sprintf("log: %q twice within %s", strings.TrimSpace(cause), line.Time.Sub(before)))
		}
		latest[cause] = line.Time
	}
	return wrong
}

func TestChatterIsFound(t *testing.T) {
	const head = `{"time":"2026-01-01T10:00:`
	for name, c := range map[string]struct {
		log  string
		want int
	}{
		"a second between lines": {head + `00.0Z","msg":"away","err":"LOADING x"}` + "\n" + head + `01.0Z","msg":"away","err":"LOADING y"}` + "\n", 0},
		"two causes at once":     {head + `00.0Z","msg":"away","err":"LOADING x"}` + "\n" + head + `00.1Z","msg":"away","err":"READONLY y"}` + "\n", 0},
		"one cause too often":    {head + `00.0Z","msg":"away","err":"LOADING x"}` + "\n" + head + `00.9Z","msg":"away","err":"LOADING y"}` + "\n", 1},
		"a message too often":    {head + `00.0Z","msg":"back"}` + "\n" + head + `00.2Z","msg":"back"}` + "\n" + head + `00.4Z","msg":"back"}` + "\n", 2},
		"what is said of jobs":   {head + `00.0Z","msg":"lost","job_id":"1"}` + "\n" + head + `00.0Z","msg":"lost","job_id":"2"}` + "\n", 0},
		"what is no record":      {"panic: oh\n", 1},
		"nothing":                {"", 0},
	} {
		if got := chatter(readLog(c.log)); len(got) != c.want {
			t.Errorf("%s: chatter = %q, want %d", name, got, c.want)
		}
	}
}
