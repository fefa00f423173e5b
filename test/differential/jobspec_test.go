package differential_test

import (
	"encoding/json"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/test/interop/node"
)

// jobSpec is a job that both producers can add.
type jobSpec struct {
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data"`
	ID       string          `json:"id,omitempty"`
	Delay    int64           `json:"delay,omitempty"`
	Priority int             `json:"priority,omitempty"`
	LIFO     bool            `json:"lifo,omitempty"`
	Attempts int             `json:"attempts,omitempty"`
	Backoff  *backoffSpec    `json:"backoff,omitempty"`
	// Completed and Failed are retentions.
	Completed *keepSpec `json:"completed,omitempty"`
	Failed    *keepSpec `json:"failed,omitempty"`
	Dedup     string    `json:"dedup,omitempty"`
	DedupTTL  int64     `json:"dedupTTL,omitempty"`
	DedupMode string    `json:"dedupMode,omitempty"`
}

type backoffSpec struct {
	Type  string `json:"type"`
	Delay int64  `json:"delay"`
}

// keepSpec is a retention: of Count jobs for Age seconds; the zero value keeps
// none.
type keepSpec struct {
	Count int   `json:"count,omitempty"`
	Age   int64 `json:"age,omitempty"`
}

// node returns the options as Node takes them.
func (j jobSpec) node() map[string]any {
	opts := map[string]any{}
	set := func(name string, value any, given bool) {
		if given {
			opts[name] = value
		}
	}
	set("jobId", j.ID, j.ID != "")
	set("delay", j.Delay, j.Delay > 0)
	set("priority", j.Priority, j.Priority > 0)
	set("lifo", true, j.LIFO)
	set("attempts", j.Attempts, j.Attempts > 0)
	set("backoff", j.Backoff, j.Backoff != nil)
	set("removeOnComplete", j.Completed.node(), j.Completed != nil)
	set("removeOnFail", j.Failed.node(), j.Failed != nil)
	if j.Dedup != "" {
		dedup := dedupFlags(domain.DeduplicationMode(j.DedupMode))
		dedup["id"] = j.Dedup
		if j.DedupTTL > 0 {
			dedup["ttl"] = j.DedupTTL
		}
		opts["deduplication"] = dedup
	}
	return opts
}

// dedupFlags returns the mode as Node takes it.
func dedupFlags(mode domain.DeduplicationMode) map[string]any {
	flags := map[string]any{}
	for _, name := range dedupNames()[mode] {
		flags[name] = true
	}
	return flags
}

func dedupNames() map[domain.DeduplicationMode][]string {
	return map[domain.DeduplicationMode][]string{
		domain.DedupDrop: nil, domain.DedupExtend: {"extend"}, domain.DedupReplace: {"replace"}, domain.DedupDebounce: {"replace", "extend"},
		domain.DedupKeepLast: {"keepLastIfActive"}, domain.DedupReplaceOrKeepLast: {"replace", "keepLastIfActive"},
		domain.DedupReschedule: {"reschedule"},
	}
}

// dedupModes are those that a version of BullMQ knows.
func dedupModes(version string) []domain.DeduplicationMode {
	modes := []domain.DeduplicationMode{
		domain.DedupDrop, domain.DedupExtend, domain.DedupReplace, domain.DedupDebounce,
		domain.DedupKeepLast, domain.DedupReplaceOrKeepLast, domain.DedupReschedule,
	}
	switch version {
	case node.V5First:
		return modes[:4]
	case node.V5Last:
		return modes[:6]
	}
	return modes
}

func (k *keepSpec) node() any {
	if k == nil || *k == (keepSpec{}) {
		return true
	}
	return k
}

// ours returns the job as Takt takes it.
func (j jobSpec) ours(queue string) domain.NewJob {
	job := domain.NewJob{Queue: domain.QueueName(queue), Name: j.Name, Data: j.Data, Options: domain.JobOptions{
		ID: domain.JobID(j.ID), Delay: millis(j.Delay), Priority: j.Priority, LIFO: j.LIFO, Attempts: j.Attempts,
		KeepCompleted: j.Completed.ours(), KeepFailed: j.Failed.ours(),
		Deduplication: domain.Deduplication{Key: j.Dedup, Mode: domain.DeduplicationMode(j.DedupMode), TTL: millis(j.DedupTTL)},
	}}
	if j.Backoff != nil {
		job.Options.Backoff = domain.Backoff{Kind: domain.BackoffKind(j.Backoff.Type), Delay: millis(j.Backoff.Delay)}
	}
	return job
}

func (k *keepSpec) ours() domain.Retention {
	if k == nil {
		return domain.Retention{}
	}
	return domain.Retention{Limited: true, Count: k.Count, Age: time.Duration(k.Age) * time.Second}
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
