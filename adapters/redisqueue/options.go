package redisqueue

import (
	"strconv"

	"github.com/taktwork/takt/core/domain"
)

// encodeOptions writes options as BullMQ stores them (protocol 1.7): short
// names where it has them, "attempts" always, nothing that is null.
func encodeOptions(o *domain.JobOptions) string {
	out := make([]byte, 0, 128)
	out = append(out, `{"attempts":`...)
	out = strconv.AppendInt(out, int64(o.Attempts), 10)
	if o.ID != "" {
		out = append(append(out, `,"jobId":`...), quoteJSON(string(o.ID))...)
	}
	if o.Delay > 0 {
		out = strconv.AppendInt(append(out, `,"delay":`...), o.Delay.Milliseconds(), 10)
	}
	if o.Priority > 0 {
		out = strconv.AppendInt(append(out, `,"priority":`...), int64(o.Priority), 10)
	}
	if o.LIFO {
		out = append(out, `,"lifo":true`...)
	}
	out = appendBackoff(out, o.Backoff)
	out = appendRetention(out, `,"removeOnComplete":`, o.KeepCompleted)
	out = appendRetention(out, `,"removeOnFail":`, o.KeepFailed)
	out = appendDeduplication(out, o.Deduplication)
	return string(append(out, '}'))
}

func appendBackoff(out []byte, b domain.Backoff) []byte {
	if b.Kind == "" && b.Delay == 0 {
		return out
	}
	kind := b.Kind
	if kind == "" {
		kind = domain.BackoffFixed
	}
	out = append(append(append(out, `,"backoff":{"type":`...), quoteJSON(string(kind))...), `,"delay":`...)
	out = strconv.AppendInt(out, b.Delay.Milliseconds(), 10)
	if b.Jitter > 0 {
		out = strconv.AppendFloat(append(out, `,"jitter":`...), b.Jitter, 'f', -1, 64)
	}
	return append(out, '}')
}

// appendRetention writes a retention; one without limits is left out.
func appendRetention(out []byte, name string, keep domain.Retention) []byte {
	switch {
	case !keep.Limited:
		return out
	case keep.Count == 0 && keep.Age == 0:
		return append(append(out, name...), `true`...)
	}
	out = append(append(out, name...), '{')
	if keep.Age > 0 {
		out = strconv.AppendInt(append(out, `"age":`...), ceilSeconds(keep.Age), 10)
	}
	if keep.Count > 0 {
		if keep.Age > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(append(out, `"count":`...), int64(keep.Count), 10)
	}
	if keep.Age > 0 && keep.PerFinish > 0 {
		out = strconv.AppendInt(append(out, `,"limit":`...), int64(keep.PerFinish), 10)
	}
	return append(out, '}')
}
