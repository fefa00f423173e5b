package redisqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// JobFailedError says that a job that was waited for failed for good.
type JobFailedError struct {
	Queue domain.QueueName
	ID    domain.JobID
	// Reason is what its last attempt failed with, as it was written.
	Reason string
}

func (e *JobFailedError) Error() string {
	return fmt.Sprintf("job %s of queue %s failed: %s", domain.Quote(string(e.ID)), e.Queue, domain.CleanText(e.Reason, domain.MaxReason))
}

// askAgain is how often a job is looked at while no event tells of it: many
// jobs that are removed at once leave none.
const askAgain = 5 * time.Second

// WaitUntilFinished returns what the job returned, as JSON, once it is
// completed: at once if it is already. Otherwise the error is a
// [*JobFailedError] if the job failed for good; [ports.ErrNotFound] if there is
// no such job or it is removed unfinished, where the end of one that is removed
// as it finishes is still told to those who waited before; [ports.ErrClosed];
// or the context's, which is how a wait is bounded. A server that is away is
// waited for.
//
// All waits of a backend for jobs of one queue share a connection, which stays
// for a few seconds after the last of them.
func (q *Queue) WaitUntilFinished(ctx context.Context, id domain.JobID) (json.RawMessage, error) {
	result, err := q.waitUntilFinished(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("wait for job: %w", err)
	}
	return result, nil
}

func (q *Queue) waitUntilFinished(ctx context.Context, id domain.JobID) (json.RawMessage, error) {
	w, err := q.backend.hubs.join(ctx, q, id)
	if err != nil {
		return nil, err
	}
	defer w.leave()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		now, err := q.finish(ctx, id)
		if errors.Is(err, ports.ErrNotFound) {
			told, toldErr := w.ended(ctx, now.last)
			if toldErr != nil || told.over() {
				return told.result, toldErr
			}
		}
		if err != nil || now.over() {
			return now.result, err
		}
		told, err := w.listen(ctx, now.last, again.C)
		if err != nil || told.over() {
			return told.result, err
		}
	}
}

// jobEnd is how a job stands.
type jobEnd struct {
	// state is that of events_finished.lua.
	state  string
	result json.RawMessage
	// last is the latest event at the time.
	last EventID
}

func (f jobEnd) over() bool { return f.state == "completed" }

// endText is a reply of events_finished.lua.
type endText struct {
	state, text string
	last        EventID
}

// endOf asks how the job stands.
func (q *Queue) endOf(ctx context.Context, id domain.JobID) (endText, error) {
	reply, err := q.backend.call(ctx, scriptNamed("events_finished"), []string{q.eventsKey()}, []any{q.base, string(id)})
	if err != nil {
		return endText{}, fmt.Errorf("job %s of queue %s: keys %s, completed, failed, events: %w",
			domain.Quote(string(id)), q.name, q.base+domain.CleanText(string(id), domain.MaxReason), ended(ctx, err))
	}
	parts, _ := reply.([]any)
	if len(parts) != 3 {
		return endText{}, errReply
	}
	state, _ := parts[0].(string)
	text, _ := parts[1].(string)
	last, _ := parts[2].(string)
	return endText{state: state, text: text, last: EventID(last)}, nil
}

// finish asks how the job stands; that it failed or is not there is an error.
func (q *Queue) finish(ctx context.Context, id domain.JobID) (jobEnd, error) {
	end, err := q.endOf(ctx, id)
	f := jobEnd{state: end.state, last: end.last}
	switch {
	case err != nil:
		return jobEnd{}, err
	case end.state == "missing":
		return f, q.missing(id)
	case end.state == "failed":
		return f, &JobFailedError{Queue: q.name, ID: id, Reason: end.text}
	case end.state == "completed":
		f.result, err = q.resultOf(id, []byte(end.text))
	}
	return f, err
}

func (q *Queue) missing(id domain.JobID) error {
	return fmt.Errorf("job %s of queue %s: %w", domain.Quote(string(id)), q.name, ports.ErrNotFound)
}

// resultOf checks what a job returned: others may have written anything.
func (q *Queue) resultOf(id domain.JobID, text []byte) (json.RawMessage, error) {
	if !json.Valid(text) {
		return nil, domain.Invalidf("job %s of queue %s is completed, but what it returned is not JSON: key %s", domain.Quote(string(id)), q.name, q.base+string(id))
	}
	return text, nil
}

// finishOf reads an event of the end of a job.
func (q *Queue) finishOf(event *Event) (jobEnd, error) {
	switch e := event.Detail.(type) {
	case EventCompleted:
		result, err := q.resultOf(e.Job, []byte(event.Fields["returnvalue"]))
		return jobEnd{state: "completed", result: result}, err
	case EventFailed:
		return jobEnd{}, &JobFailedError{Queue: q.name, ID: e.Job, Reason: e.Reason}
	}
	return jobEnd{}, nil
}
