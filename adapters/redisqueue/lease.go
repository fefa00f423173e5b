package redisqueue

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// leased is what a consumer remembers of a job that it has a lease on: what
// settling needs and the outcome does not say.
type leased struct {
	options *wireOptions
	// stacks are the stack traces of earlier attempts, a JSON list or empty.
	stacks string
	name   string
	// scheduler is the id of the job scheduler that the job comes from.
	scheduler string
	data      string
	refused   bool
	// attempt is the number of the attempt under way, attemptsLeft how many
	// may follow it.
	attempt, attemptsLeft int
}

// What scripts say of a job that is not fit to be worked.
const (
	verdictMissing  = "missing"
	verdictNameless = "nameless"
	verdictLarge    = "large"
)

// readLease reads a lease as lease_reply of the scripts writes it. The texts
// of the job share the memory of packed.
func (c *consumer) readLease(packed string, token domain.LeaseToken, lease *domain.Lease) (*leased, error) {
	u := unpacker{rest: packed}
	id, _ := u.text()
	verdict, _ := u.text()
	var fields [14]string
	for i := range fields {
		fields[i], _ = u.text()
	}
	if u.err != nil {
		return nil, fmt.Errorf("read lease: %w", u.err)
	}
	options := c.options.of(fields[2])
	job := domain.Job{
		ID: domain.JobID(id), Queue: c.queue, Name: fields[0], Data: []byte(fields[1]), Options: options.JobOptions,
		CreatedAt:       millisTime(fields[3]),
		AttemptsMade:    count(fields[6]),
		AttemptsStarted: count(fields[8]),
		Crashes:         count(fields[9]),
		Parked:          count(fields[13]),
	}
	job.Options.Priority = count(fields[5])
	if fields[7] != "" {
		// Earlier versions of BullMQ wrote it, and their word counts.
		job.AttemptsMade = count(fields[7])
	}
	*lease = domain.Lease{Job: job, Token: token, For: c.lease, Refused: refusalOf(verdict, fields[11], c.backend.config.MaxPayload)}
	return &leased{
		options: options, stacks: fields[10], name: job.Name, scheduler: fields[12], data: fields[1], refused: lease.Refused != "",
		attempt: job.AttemptsMade + 1, attemptsLeft: job.AttemptsLeft(),
	}, nil
}

// refusalOf says why no handler may see the job; empty if one may.
func refusalOf(verdict, deferred string, maxPayload int) string {
	switch verdict {
	case verdictMissing:
		return "missing job data: there is no job with this id"
	case verdictNameless:
		return "missing job data: the job has no name"
	case verdictLarge:
		return fmt.Sprintf("job is too large: its data or options have more than %d bytes", maxPayload)
	}
	// Whoever put the failure off has decided on it already.
	return domain.CleanText(deferred, domain.MaxReason)
}

// count reads a counter that others may have written anything to.
func count(text string) int {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n > 1<<31 {
		return 0
	}
	return int(n)
}

// millisTime reads a time in ms since the Unix epoch; the zero time if it is none.
func millisTime(text string) time.Time {
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil || ms < 0 || ms > 1<<53 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// maxOptions bounds how many option texts are remembered with what they mean.
const maxOptions = 256

// optionsCache remembers what option texts mean: most jobs of a queue have
// the same few. It is for one goroutine at a time.
type optionsCache struct{ known map[string]*wireOptions }

func (o *optionsCache) of(text string) *wireOptions {
	if known := o.known[text]; known != nil {
		return known
	}
	if o.known == nil || len(o.known) >= maxOptions {
		o.known = make(map[string]*wireOptions)
	}
	decoded := decodeOptions(text)
	if len(text) <= maxOptions {
		// A copy: the text shares the memory of a whole reply.
		o.known[strings.Clone(text)] = decoded
	}
	return decoded
}
