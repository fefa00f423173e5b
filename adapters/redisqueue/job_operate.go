package redisqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var (
	// ErrOtherState says that the job is not where the operation would take it
	// from.
	ErrOtherState = errors.New("the job is in another state")
	// ErrLocked says that a worker has the job, or one of its children.
	ErrLocked = errors.New("the job is being worked")
	// ErrScheduled says that the job is the next run of a job scheduler, and
	// goes when that is removed.
	ErrScheduled = errors.New("a job scheduler waits for the job")
)

// RetryOptions say how a finished job is retried.
type RetryOptions struct {
	// From is where it is: [domain.StateFailed], which the empty state stands
	// for, or [domain.StateCompleted].
	From domain.State
	// ResetAttempts forgets the attempts made, so that the job has all of them
	// again. ResetStarted forgets how often it was begun.
	ResetAttempts, ResetStarted bool
}

func (o *RetryOptions) from() (domain.State, error) {
	switch o.From { //nolint:exhaustive // the others are refused
	case "", domain.StateFailed:
		return domain.StateFailed, nil
	case domain.StateCompleted:
		return domain.StateCompleted, nil
	}
	return "", domain.Invalidf("retry: state %s is neither failed nor completed", domain.Quote(string(o.From)))
}

// Retry makes a finished job ready again, with the priority that it has. Its
// parent waits for it again, but is not taken back. The error is
// [ports.ErrNotFound], [ErrOtherState] or [domain.ErrInvalid].
func (q *Queue) Retry(ctx context.Context, id domain.JobID, options RetryOptions) error {
	from, err := options.from()
	if err != nil {
		return err
	}
	return q.operateOn(ctx, "operate_again", jobRequest{"retry", id}, string(from), flag(options.ResetAttempts), flag(options.ResetStarted))
}

// Promote makes a delayed job ready at once. The error is [ports.ErrNotFound]
// or [ErrOtherState].
func (q *Queue) Promote(ctx context.Context, id domain.JobID) error {
	return q.operateOn(ctx, "operate_again", jobRequest{"promote", id}, string(domain.StateDelayed), "", "")
}

// ChangeDelay has a delayed job due in d from now. The error is
// [ports.ErrNotFound], [ErrOtherState] or [domain.ErrInvalid].
func (q *Queue) ChangeDelay(ctx context.Context, id domain.JobID, d time.Duration) error {
	if d < 0 || d > maxJobDelay {
		return domain.Invalidf("change delay: %s is not between 0 and %s", d, maxJobDelay)
	}
	return q.operateOn(ctx, "operate_delay", jobRequest{"change delay of", id}, strconv.FormatInt(d.Milliseconds(), 10))
}

// PriorityChange is a job's new priority.
type PriorityChange struct {
	// Priority is from 1, the most urgent, to [domain.MaxPriority]; zero takes
	// it away.
	Priority int
	// LIFO puts the job in front of those of its priority.
	LIFO bool
}

// ChangePriority gives the job another priority. One that is ready moves to its
// new place, one that is not keeps the priority for later. The error is
// [ports.ErrNotFound] or [domain.ErrInvalid].
func (q *Queue) ChangePriority(ctx context.Context, id domain.JobID, change PriorityChange) error {
	if change.Priority < 0 || change.Priority > domain.MaxPriority {
		return domain.Invalidf("change priority: %d is not between 0 and %d", change.Priority, domain.MaxPriority)
	}
	return q.operateOn(ctx, "operate_priority", jobRequest{"change priority of", id}, strconv.Itoa(change.Priority), flag(change.LIFO))
}

// UpdateData replaces the job's data, which an attempt under way does not see.
// The error is [ports.ErrNotFound], [domain.ErrInvalid] if it is not JSON, or
// [domain.ErrTooLarge].
func (q *Queue) UpdateData(ctx context.Context, id domain.JobID, data []byte) error {
	return q.write(ctx, id, "data", data)
}

// UpdateProgress replaces the job's progress, and says so in the events. The
// error is [ports.ErrNotFound], [domain.ErrInvalid] if it is not JSON, or
// [domain.ErrTooLarge].
func (q *Queue) UpdateProgress(ctx context.Context, id domain.JobID, progress []byte) error {
	return q.write(ctx, id, "progress", progress)
}

func (q *Queue) write(ctx context.Context, id domain.JobID, field string, value []byte) error {
	op := "update " + field + " of"
	if most := q.backend.config.MaxPayload; len(value) > most {
		return fmt.Errorf("%s job %s: %d bytes, at most %d are allowed: %w", op, domain.Quote(string(id)), len(value), most, domain.ErrTooLarge)
	}
	// Node's readers stop at what is not JSON.
	if !json.Valid(value) {
		return domain.Invalidf("%s job %s: it is not JSON", op, domain.Quote(string(id)))
	}
	return q.operateOn(ctx, "operate_write", jobRequest{op, id}, field, string(value))
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}

// Codes that the scripts of one job reply with.
const (
	codeDone = iota
	codeNoJob
	codeOtherState
	codeLocked
	codeScheduled
	// codeAgain asks for another call: one would take too long.
	codeAgain
)

// jobRequest is what is asked for, in words, and of which job.
type jobRequest struct {
	op string
	id domain.JobID
}

// operateOn runs a script about one job.
func (q *Queue) operateOn(ctx context.Context, script string, r jobRequest, more ...string) error {
	u, err := q.operate(ctx, script, false, append([]string{string(r.id)}, more...)...)
	code := u.number()
	if err == nil && u.rest != "" {
		q.warnOf(ctx, u.texts())
	}
	if err == nil {
		err = u.err
	}
	if err == nil {
		err = codeError(code)
	}
	if err != nil {
		return fmt.Errorf("%s job %s of queue %s: %w", r.op, domain.Quote(string(r.id)), q.name, err)
	}
	return nil
}

func codeError(code int) error {
	switch code {
	case codeDone:
		return nil
	case codeNoJob:
		return ports.ErrNotFound
	case codeOtherState:
		return ErrOtherState
	case codeLocked:
		return ErrLocked
	case codeScheduled:
		return ErrScheduled
	}
	return errReply
}

// warnOf says which parents could not be told what became of a child: for each
// its key, the child's, and why.
func (q *Queue) warnOf(ctx context.Context, untold []string) {
	for ; len(untold) >= 3; untold = untold[3:] {
		q.backend.config.Log.WarnContext(ctx, "parent not told of its child",
			"queue", q.name, "parent", untold[0], "child", untold[1], "err", domain.CleanText(untold[2], domain.MaxReason))
	}
}

// operate runs a script whose first arguments are those of
// lua/include/operate.lua. A dry run writes nothing.
func (q *Queue) operate(ctx context.Context, script string, dryRun bool, more ...string) (unpacker, error) {
	s := scriptNamed(script)
	keys := []string{q.base + "meta", q.base + "meta", q.backend.keys.parked(q.name)}[:s.keys]
	args := make([]any, 0, 3+len(more))
	args = append(args, "", q.base, string(q.backend.config.Profile))
	for _, arg := range more {
		args = append(args, arg)
	}
	run := q.backend.numbered
	if dryRun {
		run = q.backend.call
	}
	reply, err := run(ctx, s, keys, args)
	packed, _ := reply.(string)
	return unpacker{rest: packed}, ended(ctx, err)
}
