package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/taktwork/takt/core/domain"
)

var errNotHandling = errors.New("the context is not that of a queue handler")

// Annotator takes the notes that a handler writes about its job.
type Annotator interface {
	// Annotate writes what is set in the note about the job that ctx belongs
	// to; the note names no lease.
	Annotate(ctx context.Context, note domain.Note) error
}

type annotatorKey struct{}

// WithAnnotator returns a context whose notes the annotator takes. The
// contexts of queue handlers have one already.
func WithAnnotator(ctx context.Context, annotator Annotator) context.Context {
	return context.WithValue(ctx, annotatorKey{}, annotator)
}

// Progress replaces the progress of the job that ctx belongs to with the
// value, marshalled as JSON. It returns when that is written.
//
// Like [LogLine] and [UpdateData] it needs the context of a queue handler, or
// one made from it, and writes nothing when it returns an error:
// [domain.ErrLeaseLost] when the job is another worker's by now, the cause of
// the context's end when that has ended, [domain.ErrTooLarge] for more bytes
// than a payload may have, or the store's. Only if the context ends during
// the call the note may be written all the same.
func Progress(ctx context.Context, value any) error {
	data, err := marshal(value)
	if err != nil {
		return fmt.Errorf("progress of type %T: %w", value, err)
	}
	return annotate(ctx, "progress", domain.Note{Progress: data})
}

// LogLine appends a line to the log of the job that ctx belongs to; see
// [Progress]. The queue may keep only the latest lines.
func LogLine(ctx context.Context, line string) error {
	return annotate(ctx, "log line", domain.Note{Log: []string{domain.CleanText(line, len(line))}})
}

// UpdateData replaces the payload of the job that ctx belongs to with the
// value, marshalled as JSON; see [Progress]. The next attempt gets it; the job
// that the handler holds stays as it is.
func UpdateData(ctx context.Context, value any) error {
	data, err := marshal(value)
	if err != nil {
		return fmt.Errorf("data of type %T: %w", value, err)
	}
	return annotate(ctx, "data", domain.Note{Data: data})
}

func annotate(ctx context.Context, what string, note domain.Note) error {
	annotator, ok := ctx.Value(annotatorKey{}).(Annotator)
	if !ok {
		return fmt.Errorf("%s: %w", what, errNotHandling)
	}
	if err := annotator.Annotate(ctx, note); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
