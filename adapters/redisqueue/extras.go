package redisqueue

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/taktwork/takt/core/domain"
)

// Extras are what a producer can say of a job to BullMQ alone. The zero value
// says nothing.
type Extras struct {
	// Timestamp is when the job counts as created, in whole milliseconds; its
	// delay counts from then. The zero time is the server's when it is added.
	Timestamp time.Time
	// KeepLogs is how many lines of its log the job keeps, the newest. Zero
	// keeps all.
	KeepLogs int
	// StackTraceLimit is how many stack traces of failed attempts the job
	// keeps, the newest. Zero keeps all, a negative number none.
	StackTraceLimit int
	// SizeLimit refuses the job if its data has more bytes. Zero sets no limit
	// but the backend's.
	SizeLimit int
	// OnFailure says what the job's parent makes of its final failure.
	OnFailure OnFailure
	Telemetry Telemetry
}

// Telemetry is what goes with a job from the tracing of its producer to that
// of its worker.
type Telemetry struct {
	// Metadata is carried as it is, up to 64 KiB of UTF-8. BullMQ's own
	// adapter puts the W3C trace context into it, as JSON.
	Metadata string
	// OmitContext tells producers along the way not to add a context.
	OmitContext bool
}

// OnFailure says what a parent makes of the final failure of its child.
type OnFailure string

const (
	// KeepWaiting leaves the parent waiting until the child is retried with
	// success, unlinked or removed.
	KeepWaiting OnFailure = ""
	// FailParent fails the parent.
	FailParent OnFailure = "failParentOnFailure"
	// ContinueParent makes the parent run at once, whatever becomes of its
	// other children. It cannot complete while some of them are unfinished.
	ContinueParent OnFailure = "continueParentOnFailure"
	// IgnoreFailure counts the child as done, and keeps its reason for the
	// parent.
	IgnoreFailure OnFailure = "ignoreDependencyOnFailure"
	// ForgetChild counts the child as done, and keeps nothing of it.
	ForgetChild OnFailure = "removeDependencyOnFailure"
)

// short is the policy's name in a job's options and parent field, empty if
// there is none.
func (f OnFailure) short() string {
	switch f {
	case FailParent:
		return "fpof"
	case ContinueParent:
		return "cpof"
	case IgnoreFailure:
		return "idof"
	case ForgetChild:
		return "rdof"
	case KeepWaiting:
	}
	return ""
}

// maxMetadata bounds what telemetry carries, in bytes.
const maxMetadata = 64 << 10

// maxTimestamp is the end of the year 9999.
const maxTimestamp = 253402300799999

// Validate reports what is wrong with the extras of a job with that data, or
// nil: [domain.ErrInvalid], or [domain.ErrTooLarge] for data over the size
// limit.
func (x *Extras) Validate(data []byte) error {
	switch {
	case !x.Timestamp.IsZero() && (x.Timestamp.UnixMilli() < 0 || x.Timestamp.UnixMilli() > maxTimestamp):
		return domain.Invalidf("timestamp %s is out of range; at least 1970, at most 9999", x.Timestamp.Format(time.RFC3339))
	case x.KeepLogs < 0 || x.KeepLogs > math.MaxInt32:
		return domain.Invalidf("log of %d lines is out of range; at least 0, at most %d", x.KeepLogs, math.MaxInt32)
	case x.StackTraceLimit > math.MaxInt32:
		return domain.Invalidf("limit of %d stack traces is out of range; at most %d", x.StackTraceLimit, math.MaxInt32)
	case x.SizeLimit < 0:
		return domain.Invalidf("size limit %d is negative", x.SizeLimit)
	case x.OnFailure != KeepWaiting && x.OnFailure.short() == "":
		return domain.Invalidf("policy %s for a parent is unknown", domain.Quote(string(x.OnFailure)))
	case len(x.Telemetry.Metadata) > maxMetadata || !utf8.ValidString(x.Telemetry.Metadata):
		return domain.Invalidf("telemetry metadata of %d bytes is no UTF-8 or over %d bytes", len(x.Telemetry.Metadata), maxMetadata)
	case x.SizeLimit > 0 && len(dataText(data)) > x.SizeLimit:
		return &sizeError{size: len(dataText(data)), limit: x.SizeLimit}
	}
	return nil
}

// sizeError refuses data over the job's own limit.
type sizeError struct{ size, limit int }

func (e *sizeError) Error() string {
	return "payload is " + strconv.Itoa(e.size) + " bytes long, the job allows " + strconv.Itoa(e.limit)
}

func (e *sizeError) Unwrap() error { return domain.ErrTooLarge }

// encodeWith writes options and extras as BullMQ stores them (protocol 1.7).
// The parent is that of the job, if it has one.
func encodeWith(o *domain.JobOptions, x *Extras, parent *parentLink) string {
	text := encodeOptions(o)
	out := append(make([]byte, 0, len(text)+128), text[:len(text)-1]...)
	if !x.Timestamp.IsZero() {
		out = strconv.AppendInt(append(out, `,"timestamp":`...), x.Timestamp.UnixMilli(), 10)
	}
	if x.KeepLogs > 0 {
		out = strconv.AppendInt(append(out, `,"kl":`...), int64(x.KeepLogs), 10)
	}
	if x.StackTraceLimit != 0 {
		out = strconv.AppendInt(append(out, `,"stackTraceLimit":`...), int64(max(x.StackTraceLimit, 0)), 10)
	}
	if x.SizeLimit > 0 {
		out = strconv.AppendInt(append(out, `,"sizeLimit":`...), int64(x.SizeLimit), 10)
	}
	if name := x.OnFailure.short(); name != "" {
		out = append(append(append(out, `,"`...), name...), `":true`...)
	}
	out = x.Telemetry.append(out)
	if parent != nil {
		out = append(append(out, `,"parent":`...), parent.option...)
	}
	return string(append(out, '}'))
}

func (t *Telemetry) append(out []byte) []byte {
	if t.Metadata != "" {
		out = append(append(out, `,"tm":`...), quoteJSON(t.Metadata)...)
	}
	if t.OmitContext {
		out = append(out, `,"omc":true`...)
	}
	return out
}
