package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// maxDepth bounds how deeply a payload may nest: a decoder recurses, and a
// hostile payload must not spend a gigabyte of stack.
const maxDepth = 64

var (
	errTooDeep     = fmt.Errorf("payload nests deeper than %d levels", maxDepth)
	errUndecodable = errors.New("a value is not what its type accepts")
)

// Job is a queue job with its payload decoded.
type Job[T any] struct {
	// Data is the payload.
	Data T
	// Job is the job as it came from the queue.
	*domain.Job
}

// HandlerFunc adapts a function on raw jobs to [ports.Handler].
type HandlerFunc func(ctx context.Context, job *domain.Job) ([]byte, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, job *domain.Job) ([]byte, error) {
	return f(ctx, job)
}

// Handle adapts a function on decoded payloads to [ports.Handler]. A payload
// that does not decode into T is a permanent failure; its text is not
// repeated in the error. The function's result is marshalled as JSON; one
// that cannot be marshalled is dropped and reported, for the work is done.
func Handle[T any](fn func(ctx context.Context, job Job[T]) (any, error)) ports.Handler {
	return HandlerFunc(func(ctx context.Context, job *domain.Job) ([]byte, error) {
		var data T
		if err := decode(job.Data, &data); err != nil {
			return nil, domain.Permanent(fmt.Errorf("decode payload into %T: %w", data, err))
		}
		result, err := fn(ctx, Job[T]{Data: data, Job: job})
		if err != nil || result == nil {
			return nil, err
		}
		encoded, err := encode(result)
		if err != nil {
			return nil, &resultError{cause: err}
		}
		return encoded, nil
	})
}

// resultError says that a job was worked but its result cannot be kept.
type resultError struct{ cause error }

func (e *resultError) Error() string { return e.cause.Error() }

// ScheduledFunc adapts a function to [ports.ScheduledHandler].
type ScheduledFunc func(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error)

// HandleRun calls f.
func (f ScheduledFunc) HandleRun(ctx context.Context, run domain.RunKey, attempt int) ([]byte, error) {
	return f(ctx, run, attempt)
}

// Run is what the function of a scheduled job learns about its run.
type Run struct {
	// Key identifies the run; its Planned is the instant the schedule named.
	Key domain.RunKey
	// Attempt counts from one.
	Attempt int
}

// HandleRun adapts a function to [ports.ScheduledHandler]. Its result is
// marshalled as JSON: the payload of a job with a queue target.
func HandleRun(fn func(ctx context.Context, run Run) (any, error)) ports.ScheduledHandler {
	return ScheduledFunc(func(ctx context.Context, key domain.RunKey, attempt int) ([]byte, error) {
		result, err := fn(ctx, Run{Key: key, Attempt: attempt})
		if err != nil || result == nil {
			return nil, err
		}
		payload, err := encode(result)
		if err != nil {
			// The next attempt would fail alike.
			return nil, domain.Permanent(err)
		}
		return payload, nil
	})
}

func decode(data []byte, into any) error {
	if len(data) == 0 {
		// A producer that has nothing to say may leave the payload out.
		return nil
	}
	if tooDeep(data) {
		return errTooDeep
	}
	err := json.Unmarshal(data, into)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(mismatch.Value, " ")
		return fmt.Errorf("%s at byte %d does not fit %s", kind, mismatch.Offset, mismatch.Type)
	}
	if err != nil {
		// The text of other errors may repeat the payload.
		return errUndecodable
	}
	return nil
}

// encode marshals a result. A panic of its methods is an error like others:
// the work is done, and doing it again would not mend it.
func encode(result any) ([]byte, error) {
	data, err := marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode result of type %T: %w", result, err)
	}
	return data, nil
}

// marshal is [json.Marshal] with panics as errors.
func marshal(value any) (data []byte, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			data, err = nil, fmt.Errorf("panic: %v", panicked)
		}
	}()
	return json.Marshal(value)
}

func tooDeep(data []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
