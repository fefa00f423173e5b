package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taktwork/takt/core/domain"
)

const (
	// maxStdin bounds what "enqueue -" reads: all is checked before the first
	// job is sent.
	maxStdin = 64 << 20
	// lineOverhead is what a line may have beside the payload.
	lineOverhead = 64 << 10
	maxMistakes  = 20
	// maxNesting leaves room for the request around the payload.
	maxNesting = 60
)

// jobLine is one job on a line of stdin.
type jobLine struct {
	Queue    string          `json:"queue"`
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data"`
	ID       string          `json:"id"`
	Delay    string          `json:"delay"`
	Priority int             `json:"priority"`
	LIFO     bool            `json:"lifo"`
	Attempts int             `json:"attempts"`
	Backoff  string          `json:"backoff"`
}

// readJobs reads one job a line; blank lines are passed over. The error names
// every line that is wrong.
func readJobs(input io.Reader, limit int64) ([]domain.NewJob, error) {
	bounded := &io.LimitedReader{R: input, N: maxStdin + 1}
	lines := bufio.NewScanner(bounded)
	lines.Buffer(nil, int(limit)+lineOverhead)
	var jobs []domain.NewJob
	var wrong mistakes
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		job, err := parseLine(line, limit)
		if err != nil {
			wrong.add(number, err)
			continue
		}
		jobs = append(jobs, job)
	}
	switch err := lines.Err(); {
	case bounded.N <= 0:
		wrong.add(number, fmt.Errorf("stdin has more than %d bytes: send it in parts", maxStdin))
	case errors.Is(err, bufio.ErrTooLong):
		wrong.add(number+1, fmt.Errorf("has more than %d bytes: payloads have at most %d (WORKER_MAX_PAYLOAD)", limit+lineOverhead, limit))
	case err != nil:
		return nil, fmt.Errorf("read stdin: %w", err)
	}
	return jobs, wrong.err()
}

func parseLine(line []byte, limit int64) (domain.NewJob, error) {
	if err := checkJSON(line); err != nil {
		return domain.NewJob{}, err
	}
	parsed, err := decodeLine(line)
	if err != nil {
		return domain.NewJob{}, err
	}
	job := domain.NewJob{
		Queue: domain.QueueName(parsed.Queue), Name: parsed.Name, Data: bytes.Clone(parsed.Data),
		Options: domain.JobOptions{
			ID: domain.JobID(parsed.ID), Priority: parsed.Priority, LIFO: parsed.LIFO, Attempts: parsed.Attempts,
		},
	}
	if len(job.Data) == 0 {
		job.Data = []byte("null")
	}
	var delay duration
	var backoff backoffFlag
	if err := setIfGiven(&delay, "delay", parsed.Delay); err != nil {
		return domain.NewJob{}, err
	}
	if err := setIfGiven(&backoff, "backoff", parsed.Backoff); err != nil {
		return domain.NewJob{}, err
	}
	job.Options.Delay, job.Options.Backoff = time.Duration(delay), domain.Backoff(backoff)
	return job, check(&job, limit)
}

// decodeLine reads the keys of a line, each spelled as it is documented.
func decodeLine(line []byte) (jobLine, error) {
	var parsed jobLine
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil || members == nil {
		return jobLine{}, errors.New(`want an object such as {"queue":"mail","name":"welcome"}`)
	}
	const text, number = `want a string such as %q`, `want a whole number such as %s`
	fields := map[string]struct {
		into any
		want string
	}{
		"queue": {&parsed.Queue, fmt.Sprintf(text, "mail")}, "name": {&parsed.Name, fmt.Sprintf(text, "welcome")},
		"data": {&parsed.Data, "want JSON"}, "id": {&parsed.ID, fmt.Sprintf(text, "order-7")},
		"delay": {&parsed.Delay, fmt.Sprintf(text, "5m")}, "priority": {&parsed.Priority, fmt.Sprintf(number, "1")},
		"lifo": {&parsed.LIFO, "want true or false"}, "attempts": {&parsed.Attempts, fmt.Sprintf(number, "3")},
		"backoff": {&parsed.Backoff, fmt.Sprintf(text, "exponential:1s")},
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		field, known := fields[key]
		if !known {
			return jobLine{}, fmt.Errorf("unknown field %s", domain.Quote(key))
		}
		if json.Unmarshal(members[key], field.into) != nil {
			return jobLine{}, fmt.Errorf("%s: %s", key, field.want)
		}
	}
	return parsed, nil
}

func setIfGiven(flag interface{ Set(text string) error }, name, text string) error {
	if text == "" {
		return nil
	}
	if err := flag.Set(text); err != nil {
		return fmt.Errorf("%s %s: %w", name, domain.Quote(text), err)
	}
	return nil
}

// check tells what the worker would refuse.
func check(job *domain.NewJob, limit int64) error {
	if err := job.Validate(int(limit)); err != nil {
		return err
	}
	if err := checkJSON(job.Data); err != nil {
		return fmt.Errorf("job %s: payload: %w", domain.Quote(job.Name), err)
	}
	return nil
}

// mistakes are the lines that are wrong, the first ones in words.
type mistakes struct {
	count int
	texts []string
}

func (m *mistakes) add(line int, err error) {
	m.count++
	if m.count <= maxMistakes {
		m.texts = append(m.texts, fmt.Sprintf("stdin line %d: %s", line, err))
	}
}

func (m *mistakes) err() error {
	if m.count == 0 {
		return nil
	}
	texts := m.texts
	if more := m.count - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	texts = append(texts, "nothing was enqueued")
	return &exitError{code: ExitBadData, err: errors.New(strings.Join(texts, "\n"))}
}

// checkJSON accepts one JSON value in UTF-8 that names nothing twice and does
// not nest too deeply.
func checkJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	if !json.Valid(text) {
		return errors.New("not one JSON value")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return checkValue(decoder, 0)
}

func checkValue(decoder *json.Decoder, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("nests deeper than %d levels", maxNesting)
	}
	token, err := decoder.Token()
	opening, nested := token.(json.Delim)
	if err != nil || !nested {
		return err
	}
	names := map[json.Token]bool{}
	for decoder.More() {
		if opening == '{' {
			name, err := decoder.Token()
			if err != nil {
				return err
			}
			if names[name] {
				return fmt.Errorf("%s twice in one object", domain.Quote(fmt.Sprint(name)))
			}
			names[name] = true
		}
		if err := checkValue(decoder, depth+1); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}
