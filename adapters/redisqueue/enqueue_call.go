package redisqueue

import (
	"context"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// jobArgs is how many arguments read_job and the base of a queue's keys are
// (lua/include/add.lua), aheadArgs how many stand before the data of jobs that
// are alike.
const (
	jobArgs   = 11
	aheadArgs = 4
)

func (b *Backend) enqueueSome(ctx context.Context, jobs []domain.NewJob) ([]domain.EnqueueResult, error) {
	texts := make([]string, 0, 5+jobArgs+aheadArgs+len(jobs))
	texts = append(texts, "", b.keys.receipts(), string(b.config.Profile), "")
	var last encodedOptions
	groups, rest := 0, jobs
	for ; len(rest) > 0; groups++ {
		n := alike(rest)
		texts = append(texts, strconv.Itoa(n), b.keys.queue(rest[0].Queue))
		if n > 0 {
			texts = appendAlike(texts, rest[:n], &last)
		} else {
			texts = appendJob(texts, &rest[0], &last)
		}
		rest = rest[max(n, 1):]
	}
	texts[3] = strconv.Itoa(groups)
	args := make([]any, len(texts))
	for i := range texts {
		args[i] = &texts[i]
	}
	names := []string{"", b.keys.queue(jobs[0].Queue) + "meta"}
	reply, err := b.numberedAs(ctx, request{script: scriptNamed("enqueue"), keys: names, args: args}, func(reply any) []deed {
		results, _ := readEnqueued(reply, len(jobs))
		return acceptedOf(jobs, results)
	})
	if err != nil {
		return nil, err
	}
	return readEnqueued(reply, len(jobs))
}

// acceptedOf returns the jobs that were added.
func acceptedOf(jobs []domain.NewJob, results []domain.EnqueueResult) []deed {
	var deeds []deed
	for i := range results {
		if results[i].Status != domain.Accepted {
			continue
		}
		if last := len(deeds) - 1; last < 0 || deeds[last].queue != jobs[i].Queue {
			deeds = append(deeds, deed{kind: lostJob, queue: jobs[i].Queue})
		}
		last := &deeds[len(deeds)-1]
		last.names = append(last.names, string(results[i].ID))
	}
	return deeds
}

// alike returns how many of the first jobs differ in nothing but their data,
// and are plain: due at once, in order, with an id of the queue's. It is zero
// when the first one is not plain.
func alike(jobs []domain.NewJob) int {
	first := &jobs[0]
	o := &first.Options
	if o.ID != "" || o.Delay >= time.Millisecond || o.Priority != 0 || o.LIFO || o.Deduplication.Key != "" || first.Receipt != "" {
		return 0
	}
	n := 1
	for n < len(jobs) {
		job := &jobs[n]
		if job.Queue != first.Queue || job.Name != first.Name || job.Receipt != "" || job.Options != *o {
			break
		}
		n++
	}
	return n
}

// appendAlike appends name, options and the data of each job.
func appendAlike(texts []string, jobs []domain.NewJob, last *encodedOptions) []string {
	texts = append(texts, jobs[0].Name, last.of(&jobs[0].Options))
	for i := range jobs {
		texts = append(texts, dataText(jobs[i].Data))
	}
	return texts
}

func dataText(data []byte) string {
	if len(data) == 0 {
		return "{}"
	}
	return string(data)
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
	lifo := "0"
	if o.LIFO {
		lifo = "1"
	}
	return append(texts, string(o.ID), job.Name, dataText(job.Data), last.of(o), delayText(o.Delay), strconv.Itoa(o.Priority),
		lifo, o.Deduplication.Key, scriptDedup(o.Deduplication), job.Receipt)
}

// Statuses of jobs, as enqueue.lua numbers them.
var enqueueStatuses = [...]domain.EnqueueStatus{0, domain.Accepted, domain.DuplicateID, domain.ReceiptKnown, domain.Deduplicated} //nolint:gochecknoglobals // a table

// readEnqueued reads the reply of enqueue.lua: for each group a status, an id
// and how many jobs there are, of which the others have the ids that follow.
func readEnqueued(reply any, count int) ([]domain.EnqueueResult, error) {
	u := unpackerOf(reply)
	results := make([]domain.EnqueueResult, 0, count)
	for range u.list() / 3 {
		status := u.number()
		id, _ := u.text()
		n := u.number()
		u.want(status >= 1 && status < len(enqueueStatuses) && n >= 1 && n <= count-len(results))
		if u.err != nil {
			return nil, errReply
		}
		results = appendResults(results, domain.EnqueueResult{Status: enqueueStatuses[status], ID: domain.JobID(id)}, n)
	}
	if u.err != nil || len(results) != count {
		return nil, errReply
	}
	return results, nil
}

// appendResults appends n results, whose ids count on from that of the first.
func appendResults(results []domain.EnqueueResult, first domain.EnqueueResult, n int) []domain.EnqueueResult {
	results = append(results, first)
	if n == 1 {
		return results
	}
	start, _ := strconv.ParseInt(string(first.ID), 10, 64)
	// One string holds all of the ids.
	const most = 20
	text, ends := make([]byte, 0, n*most), make([]int, n)
	for i := range n {
		text = strconv.AppendInt(text, start+int64(i), 10)
		ends[i] = len(text)
	}
	all := string(text)
	for i := 1; i < n; i++ {
		results = append(results, domain.EnqueueResult{Status: first.Status, ID: domain.JobID(all[ends[i-1]:ends[i]])})
	}
	return results
}
