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
	since   time.Time
	options *wireOptions
	// stacks are the stack traces of earlier attempts, a JSON list or empty.
	stacks string
	name   string
	// scheduler is the id of the job scheduler that the job comes from.
	scheduler string
	// data and rawOptions are kept for jobs of a scheduler alone.
	data, rawOptions string
	refused          bool
	// attempt is the number of the attempt under way, attemptsLeft how many
	// may follow it.
	attempt, attemptsLeft int
}

// replyParts reads the texts of a script's reply one after the other. The
// first mistake sticks; what is read after it is empty.
type replyParts struct {
	rest []any
	bad  bool
}

// next returns the next part, nil if there is none.
func (p *replyParts) next() any {
	if len(p.rest) == 0 {
		p.bad = true
		return nil
	}
	part := p.rest[0]
	p.rest = p.rest[1:]
	return part
}

// text reads a string.
func (p *replyParts) text() string {
	text, ok := p.next().(string)
	p.bad = p.bad || !ok
	return text
}

// leaseFields are what move.lua hands out of a job's hash, in the order of
// fresh_fields and earlier_fields (lua/include/fetch.lua).
type leaseFields struct {
	text [fieldCount]string
	some [fieldCount]bool
}

const (
	fieldName = iota
	fieldData
	fieldOptions
	fieldTimestamp
	fieldPriority
	fieldStarts
	fieldScheduler
	fieldDeferred
	fieldMade
	fieldMadeLegacy
	fieldCrashes
	fieldParked
	fieldStacks
	fieldCount
)

// fields reads a list of strings, each of which may be missing.
func (p *replyParts) fields() (fields leaseFields) {
	list, ok := p.next().([]any)
	p.bad = p.bad || !ok || len(list) > fieldCount
	for i := range min(len(list), fieldCount) {
		fields.text[i], fields.some[i] = list[i].(string)
	}
	return fields
}

// readLease reads a lease as append_lease of the scripts writes it.
func (c *consumer) readLease(parts *replyParts, token domain.LeaseToken) (domain.Lease, *leased) {
	id, fields := parts.text(), parts.fields()
	text := &fields.text
	held := &leased{
		since: c.backend.config.Now(), options: c.options.of(text[fieldOptions]), name: text[fieldName],
		scheduler: text[fieldScheduler], stacks: text[fieldStacks],
	}
	if held.scheduler != "" {
		held.data, held.rawOptions = text[fieldData], text[fieldOptions]
	}
	job := domain.Job{
		ID: domain.JobID(id), Queue: c.queue, Name: held.name, Data: []byte(text[fieldData]), Options: held.options.JobOptions,
		CreatedAt: millisTime(text[fieldTimestamp]), AttemptsStarted: max(count(text[fieldStarts]), 1),
		AttemptsMade: count(text[fieldMade]), Crashes: count(text[fieldCrashes]), Parked: count(text[fieldParked]),
	}
	job.Options.Priority = count(text[fieldPriority])
	if fields.some[fieldMadeLegacy] {
		// Earlier versions of BullMQ wrote it, and their word counts.
		job.AttemptsMade = count(text[fieldMadeLegacy])
	}
	refused := refusalOf(&fields, c.backend.config.MaxPayload)
	held.refused = refused != ""
	held.attempt, held.attemptsLeft = job.AttemptsMade+1, job.AttemptsLeft()
	return domain.Lease{Job: job, Token: token, For: c.lease, Refused: refused}, held
}

// tooLarge stands for the number of starts of a job that is not handed out
// because of its size.
const tooLarge = "large"

// refusalOf says why no handler may see the job; empty if one may.
func refusalOf(fields *leaseFields, maxPayload int) string {
	switch some := &fields.some; {
	case !some[fieldName] && !some[fieldData] && !some[fieldOptions] && !some[fieldTimestamp]:
		return "missing job data: there is no job with this id"
	case !some[fieldName]:
		return "missing job data: the job has no name"
	case fields.text[fieldStarts] == tooLarge:
		return fmt.Sprintf("job is too large: its data and options have more than %d bytes", maxPayload)
	}
	// Whoever put the failure off has decided on it already.
	return domain.CleanText(fields.text[fieldDeferred], domain.MaxReason)
}

// count reads a counter that others may have written anything to.
func count(text string) int {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1<<31) { // NaN is neither
		return 0
	}
	return int(n)
}

// millisTime reads a time in ms since the Unix epoch; the zero time if it is none.
func millisTime(text string) time.Time {
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil || !(ms >= 0 && ms <= 1<<53) {
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
