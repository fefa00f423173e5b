package redisqueue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// wireOptions are a job's options as they stand in its hash: BullMQ's names,
// and whatever shape some producer gave them.
type wireOptions struct {
	domain.JobOptions

	// keepsCompleted and keepsFailed tell that the job says itself how long it
	// is kept.
	keepsCompleted, keepsFailed bool
	// completed and failed are the retentions as scripts take them.
	completed, failed string
	// keepLogs is how many log lines stay, zero for all.
	keepLogs int
	// stackLimit is how many stack traces stay, negative for all.
	stackLimit int
}

// rawOptions are the members of the options that a worker acts on.
type rawOptions struct {
	JobID            json.RawMessage `json:"jobId"`
	Delay            json.RawMessage `json:"delay"`
	Attempts         json.RawMessage `json:"attempts"`
	Backoff          json.RawMessage `json:"backoff"`
	LIFO             json.RawMessage `json:"lifo"`
	RemoveOnComplete json.RawMessage `json:"removeOnComplete"`
	RemoveOnFail     json.RawMessage `json:"removeOnFail"`
	KeepLogs         json.RawMessage `json:"kl"`
	StackTraceLimit  json.RawMessage `json:"stackTraceLimit"`
	Deduplication    json.RawMessage `json:"de"`
}

// decodeOptions reads options leniently: what makes no sense is left at its
// default. It never fails, for a producer's slip must not keep the job from
// being worked.
func decodeOptions(text string) *wireOptions {
	o := &wireOptions{stackLimit: -1}
	var raw rawOptions
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		raw = rawOptions{}
	}
	var id string
	if json.Unmarshal(raw.JobID, &id) == nil {
		o.ID = domain.JobID(id)
	}
	o.Attempts = int(wholeNumber(raw.Attempts, domain.MaxAttempts))
	o.LIFO = bytes.Equal(raw.LIFO, []byte("true"))
	o.Delay = decodeDelay(raw.Delay)
	o.keepLogs = int(wholeNumber(raw.KeepLogs, math.MaxInt32))
	if n, ok := number(raw.StackTraceLimit); ok && n >= 0 {
		o.stackLimit = int(math.Min(n, math.MaxInt32))
	}
	o.decodeBackoff(raw.Backoff)
	o.KeepCompleted, o.keepsCompleted, o.completed = decodeRetention(raw.RemoveOnComplete)
	o.KeepFailed, o.keepsFailed, o.failed = decodeRetention(raw.RemoveOnFail)
	o.decodeDeduplication(raw.Deduplication)
	return o
}

func number(raw json.RawMessage) (float64, bool) {
	var n float64
	if len(raw) == 0 || json.Unmarshal(raw, &n) != nil || math.IsNaN(n) {
		return 0, false
	}
	return n, true
}

func wholeNumber(raw json.RawMessage, most float64) float64 {
	n, _ := number(raw)
	return math.Trunc(math.Min(math.Max(n, 0), most))
}

// millis returns n ms, at most [domain.MaxDelay]; nothing if it is negative.
func millis(n float64) time.Duration {
	return time.Duration(math.Min(math.Max(n, 0), float64(domain.MaxDelay/time.Millisecond))) * time.Millisecond
}

// maxJobDelay bounds the delay that a job is shown with: a hundred years.
const maxJobDelay = 100 * 366 * 24 * time.Hour

func decodeDelay(raw json.RawMessage) time.Duration {
	n, _ := number(raw)
	return time.Duration(math.Min(math.Max(n, 0), float64(maxJobDelay/time.Millisecond))) * time.Millisecond
}

// decodeBackoff reads {"type","delay","jitter"} or a bare number.
func (o *wireOptions) decodeBackoff(raw json.RawMessage) {
	if delay, ok := number(raw); ok {
		switch {
		case delay == -1:
			o.Backoff = domain.Backoff{Kind: domain.BackoffFixed, Delay: domain.NoRetry}
		case delay > 0:
			o.Backoff = domain.Backoff{Kind: domain.BackoffFixed, Delay: millis(delay)}
		}
		return
	}
	var shape struct {
		Type   string          `json:"type"`
		Delay  json.RawMessage `json:"delay"`
		Jitter json.RawMessage `json:"jitter"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &shape) != nil {
		return
	}
	delay, ok := number(shape.Delay)
	kind := domain.BackoffKind(shape.Type)
	// What a delay means to a back-off of another kind, that kind knows.
	switch {
	case ok && delay == -1 && kind.Known():
		o.Backoff = domain.Backoff{Kind: cmp.Or(kind, domain.BackoffFixed), Delay: domain.NoRetry}
	case kind != "":
		jitter, _ := number(shape.Jitter)
		o.Backoff = domain.Backoff{Kind: kind, Delay: millis(delay), Jitter: math.Min(math.Max(jitter, 0), 1)}
	}
}

// Retentions as the scripts take them.
const (
	keepAll  = "-1"
	keepNone = "0"
)

// decodeRetention reads true, false, a number or {"count","age","limit"}. said
// is false if there is none.
func decodeRetention(raw json.RawMessage) (keep domain.Retention, said bool, script string) {
	switch string(raw) {
	case "", "null":
		return domain.Retention{}, false, keepAll
	case "true":
		return domain.KeepNone(), true, keepNone
	case "false":
		return domain.Retention{}, true, keepAll
	}
	if n, ok := number(raw); ok {
		return retentionOf(n, nil, nil)
	}
	var shape struct {
		Count, Age, Limit *float64
	}
	if json.Unmarshal(raw, &shape) != nil {
		return domain.Retention{}, false, keepAll
	}
	count := -1.0
	if shape.Count != nil {
		count = *shape.Count
	}
	return retentionOf(count, shape.Age, shape.Limit)
}

// retentionOf returns the retention of count jobs, all if it is negative, for
// age seconds, dropped at most limit at a time.
func retentionOf(count float64, age, limit *float64) (keep domain.Retention, said bool, script string) {
	count = math.Trunc(math.Min(math.Max(count, -1), math.MaxInt32))
	script = strconv.FormatFloat(count, 'f', -1, 64)
	keep = domain.Retention{Limited: count >= 0, Count: int(math.Max(count, 0))}
	if age == nil {
		return keep, true, script
	}
	seconds := math.Trunc(math.Min(math.Max(*age, 0), math.MaxInt32))
	keep.Limited, keep.Age = true, time.Duration(seconds)*time.Second
	script += "," + strconv.FormatFloat(seconds, 'f', -1, 64)
	if limit != nil && *limit >= 0 {
		most := math.Trunc(math.Min(*limit, math.MaxInt32))
		script += "," + strconv.FormatFloat(most, 'f', -1, 64)
		if keep.Age > 0 {
			keep.PerFinish = int(most)
		}
	}
	return keep, true, script
}

// scriptRetention writes a retention of ours as scripts take it. Retention by
// age alone keeps any number.
func scriptRetention(keep domain.Retention) string {
	if !keep.Limited {
		return keepAll
	}
	if keep.Age == 0 {
		return strconv.Itoa(keep.Count)
	}
	count := keep.Count
	if count == 0 {
		count = -1
	}
	script := strconv.Itoa(count) + "," + strconv.FormatInt(ceilSeconds(keep.Age), 10)
	if keep.PerFinish > 0 {
		script += "," + strconv.Itoa(keep.PerFinish)
	}
	return script
}

func ceilSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
