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
	// large tells that the job has more than was handed out.
	large bool
	// plain tells that this is the first attempt of a job with neither parent,
	// deduplication key nor scheduler.
	plain bool
	// foreign is set when what has the job's name is no job: nothing is
	// written to it.
	foreign bool
	// number counts the leases of the consumer.
	number uint64
	// attempt is the number of the attempt under way, attemptsLeft how many
	// may follow it.
	attempt, attemptsLeft int
}

// leaseReader reads the leases in a reply of move.lua (lua/include/lease.lua).
// The first mistake sticks; what is read after it is empty.
type leaseReader struct {
	rest []any
	// head is what is left of the lease of a job that is not plain: values with
	// their length before them.
	head string
	bad  bool
	// alike is how many plain jobs follow that have the name and options.
	alike         int
	name, options string
}

// next returns the next string of the reply.
func (r *leaseReader) next() string {
	if len(r.rest) == 0 {
		r.bad = true
		return ""
	}
	text, ok := r.rest[0].(string)
	r.rest, r.bad = r.rest[1:], r.bad || !ok
	return text
}

// take returns the next n bytes of the head.
func (r *leaseReader) take(n int) string {
	if n < 0 || n > len(r.head) {
		r.head, r.bad = "", true
		return ""
	}
	taken := r.head[:n]
	r.head = r.head[n:]
	return taken
}

// value reads a value of the head; some is false if there is none.
func (r *leaseReader) value() (text string, some bool) {
	if strings.HasPrefix(r.head, "-") {
		r.head = r.head[1:]
		return "", false
	}
	size, rest, found := strings.Cut(r.head, ":")
	n, err := strconv.Atoi(size)
	if !found || err != nil {
		n = -1
	}
	r.head = rest
	return r.take(n), true
}

// lease reads the next job: its id, its fields and whether it is plain.
func (r *leaseReader) lease() (id string, fields leaseFields, plain bool) {
	if r.alike == 0 {
		r.head = r.next()
		if r.take(1) == "+" {
			id, _ = r.value()
			for i := range fields.text {
				fields.text[i], fields.some[i] = r.value()
			}
			return id, fields, false
		}
		n, err := strconv.Atoi(r.head)
		r.alike, r.bad = n, r.bad || err != nil || n < 1
		r.name, r.options = r.next(), r.next()
	}
	r.alike--
	id = r.next()
	created, data := r.next(), r.next()
	fields.text = [fieldCount]string{fieldName: r.name, fieldData: data, fieldOptions: r.options, fieldTimestamp: created}
	fields.some = [fieldCount]bool{fieldName: true, fieldData: true, fieldOptions: true, fieldTimestamp: true}
	return id, fields, true
}

// leaseFields are what move.lua hands out of a job's hash, in the order of
// all_fields.
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

// readLease reads the next lease.
func (c *consumer) readLease(r *leaseReader, token domain.LeaseToken) (domain.Lease, *leased) {
	id, fields, plain := r.lease()
	text := &fields.text
	held := &leased{
		since: c.backend.config.Now(), options: c.options.of(text[fieldOptions]), name: text[fieldName], plain: plain,
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
	refused, inherited := refusalOf(&fields, c.backend.config.MaxPayload)
	held.refused, held.foreign, held.large = refused != "", text[fieldStarts] == foreign, text[fieldStarts] == tooLarge
	held.attempt, held.attemptsLeft = job.AttemptsMade+1, job.AttemptsLeft()
	return domain.Lease{Job: job, Token: token, For: c.lease, Refused: refused, Inherited: inherited}, held
}

// tooLarge stands for the number of starts of a job that is not handed out
// because of its size.
const tooLarge = "large"

// foreign stands for the number of starts when what has the job's name is no
// job.
const foreign = "foreign"

// stalledReason is what BullMQ puts off the failure of a job with that has
// crashed too often.
const stalledReason = "job stalled more than allowable limit"

// refusalOf says why no handler may see the job, empty if one may, and whether
// that lies with another job.
func refusalOf(fields *leaseFields, maxPayload int) (reason string, inherited bool) {
	switch some := &fields.some; {
	case fields.text[fieldStarts] == foreign:
		return "missing job data: there is something else under the job's name", false
	case !some[fieldName] && !some[fieldData] && !some[fieldOptions] && !some[fieldTimestamp]:
		return "missing job data: there is no job with this id", false
	case !some[fieldName]:
		return "missing job data: the job has no name", false
	case fields.text[fieldStarts] == tooLarge:
		return fmt.Sprintf("job is too large: its data and options have more than %d bytes", maxPayload), false
	}
	// Whoever put the failure off has decided on it already.
	deferred := domain.CleanText(fields.text[fieldDeferred], domain.MaxReason)
	return deferred, deferred != "" && deferred != stalledReason
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
