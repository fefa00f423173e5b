package redisqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/taktwork/takt/core/domain"
)

// Bounds of one call of enqueue.lua.
const (
	maxEnqueued      = 200
	maxEnqueuedBytes = 256 << 10
)

// jobArgs is how many arguments enqueue.lua takes for one job.
const jobArgs = 11

// Enqueue implements [ports.Enqueuer]. Up to 200 jobs or 256 KiB are added in
// one step; more are carried in several, and when ctx ends in between the
// first of them are there. A call without a context that ends never fails for
// a server that is away.
func (b *Backend) Enqueue(ctx context.Context, jobs ...domain.NewJob) ([]domain.EnqueueResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i := range jobs {
		if err := b.checkJob(&jobs[i]); err != nil {
			return nil, fmt.Errorf("enqueue: %w", err)
		}
	}
	results := make([]domain.EnqueueResult, 0, len(jobs))
	for len(jobs) > 0 {
		n := callful(jobs)
		some, err := b.enqueueSome(ctx, jobs[:n])
		if err != nil {
			return nil, fmt.Errorf("enqueue: %w", ended(ctx, err))
		}
		results = append(results, some...)
		jobs = jobs[n:]
	}
	return results, nil
}

// isReserved reports whether the id is a word that names a key of a queue: a
// job of this id would be that key (protocol 1.1).
func isReserved(id domain.JobID) bool {
	switch id {
	case "active", "wait", "waiting-children", "paused", "id", "delayed", "prioritized", "stalled-check", "completed",
		"failed", "stalled", "repeat", "limiter", "meta", "events", "pc", "marker", "de", "delay", "priority":
		return true
	}
	return false
}

func (b *Backend) checkJob(job *domain.NewJob) error {
	if err := job.Validate(b.config.MaxPayload); err != nil {
		return err
	}
	switch {
	case isReserved(job.Options.ID):
		return domain.Invalidf("job id %s: BullMQ keeps something else under this name", domain.Quote(string(job.Options.ID)))
	case len(job.Data) > 0 && !json.Valid(job.Data):
		return domain.Invalidf("job %s: its data is not JSON", domain.Quote(job.Name))
	case strings.ContainsAny(job.Options.Deduplication.Key, "\x00"):
		return domain.Invalidf("job %s: deduplication key has characters that do not print", domain.Quote(job.Name))
	}
	return nil
}

// callful returns how many of the jobs go into one call.
func callful(jobs []domain.NewJob) int {
	bytes := 0
	for i := range jobs {
		if bytes += len(jobs[i].Data); i > 0 && bytes > maxEnqueuedBytes || i == maxEnqueued {
			return i
		}
	}
	return len(jobs)
}

func (b *Backend) enqueueSome(ctx context.Context, jobs []domain.NewJob) ([]domain.EnqueueResult, error) {
	texts := make([]string, 0, 4+jobArgs*len(jobs))
	texts = append(texts, "", b.keys.receipts(), string(b.config.Profile), strconv.Itoa(len(jobs)))
	var last encodedOptions
	for i := range jobs {
		job := &jobs[i]
		texts = append(texts, b.keys.queue(job.Queue))
		texts = appendJob(texts, job, &last)
	}
	args := make([]any, len(texts))
	for i := range texts {
		args[i] = &texts[i]
	}
	reply, err := b.numbered(ctx, scriptNamed("enqueue"), []string{"", b.keys.queue(jobs[0].Queue) + "meta"}, args)
	if err != nil {
		return nil, err
	}
	return readEnqueued(reply, len(jobs))
}

// encodedOptions remembers how options read as JSON: in a call most jobs have
// the same.
type encodedOptions struct {
	options domain.JobOptions
	text    string
}

func (e *encodedOptions) of(options *domain.JobOptions) string {
	if e.text == "" || e.options != *options {
		e.options, e.text = *options, encodeOptions(options)
	}
	return e.text
}

// appendJob appends the arguments of read_job (lua/include/add.lua).
func appendJob(texts []string, job *domain.NewJob, last *encodedOptions) []string {
	o := &job.Options
	data := string(job.Data)
	if data == "" {
		data = "{}"
	}
	lifo := "0"
	if o.LIFO {
		lifo = "1"
	}
	return append(texts, string(o.ID), job.Name, data, last.of(o), delayText(o.Delay), strconv.Itoa(o.Priority),
		lifo, o.Deduplication.Key, strconv.FormatInt(o.Deduplication.TTL.Milliseconds(), 10), job.Receipt)
}

// Statuses of jobs, as enqueue.lua numbers them.
var enqueueStatuses = [...]domain.EnqueueStatus{0, domain.Accepted, domain.DuplicateID, domain.ReceiptKnown, domain.Deduplicated} //nolint:gochecknoglobals // a table

func readEnqueued(reply any, count int) ([]domain.EnqueueResult, error) {
	packed, _ := reply.(string)
	u := unpacker{rest: packed}
	if u.list() != 2*count {
		return nil, errReply
	}
	results := make([]domain.EnqueueResult, count)
	for i := range results {
		status := u.number()
		id, _ := u.text()
		if u.err != nil || status < 1 || status >= len(enqueueStatuses) {
			return nil, errReply
		}
		results[i] = domain.EnqueueResult{Status: enqueueStatuses[status], ID: domain.JobID(id)}
	}
	return results, nil
}
