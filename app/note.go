package app

import (
	"context"

	"github.com/taktwork/takt/core/runner"
)

// Progress replaces the progress of the job that a handler works with the
// value, marshalled as JSON: a number, or whatever tells how far it is. It
// returns when that is written.
//
// Like [LogLine] and [UpdateData] it needs the context of the handler of a
// queue job, or one made from it. It writes nothing when it returns an error:
// [domain.ErrLeaseLost] when the job is another worker's by now, the cause of
// the context's end when that has ended, [domain.ErrTooLarge] for more bytes
// than a payload may have, or the store's. Only if the context ends during
// the call the note may be written all the same.
func Progress(ctx context.Context, value any) error { return runner.Progress(ctx, value) }

// LogLine appends a line to the log of the job that a handler works; see
// [Progress]. The queue may keep only the latest lines.
func LogLine(ctx context.Context, line string) error { return runner.LogLine(ctx, line) }

// UpdateData replaces the payload of the job that a handler works with the
// value, marshalled as JSON; see [Progress]. The job's next attempt gets it;
// the job that the handler was given stays as it is.
func UpdateData(ctx context.Context, value any) error { return runner.UpdateData(ctx, value) }
