package redisqueue

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// lateSchedules are the schedules of a consumer that could not be continued
// when their jobs were leased, because the server refused it or a key of the
// queue was damaged. They are tried again, once for all at a time, until it
// succeeds or the consumer closes.
type lateSchedules struct {
	consumer *consumer

	ctx  context.Context //nolint:containedctx // ends the tries when the consumer closes
	stop context.CancelFunc
	loop sync.WaitGroup

	mu sync.Mutex
	// runs are the latest runs of the schedulers, by scheduler.
	runs           map[string]scheduledRun
	trying, closed bool
}

func newLateSchedules(c *consumer) *lateSchedules {
	ctx, stop := context.WithCancel(context.Background())
	return &lateSchedules{consumer: c, ctx: ctx, stop: stop, runs: map[string]scheduledRun{}}
}

const (
	// maxLateSchedules bounds what a consumer remembers: anybody may write jobs
	// of any number of schedulers.
	maxLateSchedules = 1000
	// Waits between the tries.
	lateFirst = 250 * time.Millisecond
	lateMost  = 10 * time.Second
)

// later takes note of a run whose next one could not be added because of err.
func (l *lateSchedules) later(ctx context.Context, run scheduledRun, err error) {
	l.mu.Lock()
	_, known := l.runs[run.held.scheduler]
	late := !errors.Is(err, errSchedule) && !l.closed && (known || len(l.runs) < maxLateSchedules)
	if late {
		l.runs[run.held.scheduler] = run
		if !l.trying {
			l.trying = true
			l.loop.Go(l.tryAll)
		}
	}
	l.mu.Unlock()
	switch {
	case !late:
		l.given(ctx, run, err)
	case !known:
		l.consumer.backend.config.Log.WarnContext(ctx, "schedule not continued yet",
			"queue", l.consumer.queue, "job_id", string(run.id), "job", run.held.name, "err", err)
	}
}

// given says that a schedule is given up.
func (l *lateSchedules) given(ctx context.Context, run scheduledRun, err error) {
	l.consumer.backend.config.Log.ErrorContext(ctx, "schedule not continued: it makes no further jobs",
		"queue", l.consumer.queue, "job_id", string(run.id), "job", run.held.name, "err", err)
}

// tryAll tries until nothing is left.
func (l *lateSchedules) tryAll() {
	for wait := lateFirst; l.left(); wait = min(2*wait, lateMost) {
		pause(l.ctx, wait)
		if l.ctx.Err() != nil {
			return
		}
		_, _ = l.try(l.ctx, l.consumer.backend.call) // the first complaint is in the log
	}
}

// left tells whether there is more to try; if not, the next late schedule
// begins anew.
func (l *lateSchedules) left() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying = len(l.runs) > 0
	return l.trying
}

// try tries to continue each schedule once, until the server does not answer,
// and returns those that are left with what is in the way of one.
func (l *lateSchedules) try(ctx context.Context, call scriptCall) (left map[string]scheduledRun, failed error) {
	ctx, cancel := context.WithTimeout(ctx, continuePatience)
	defer cancel()
	l.mu.Lock()
	left = maps.Clone(l.runs)
	l.mu.Unlock()
	for scheduler, run := range left {
		err := l.consumer.addNextRun(ctx, call, run)
		if ctx.Err() != nil {
			return left, ctx.Err()
		}
		if err != nil && !errors.Is(err, errSchedule) {
			failed = err
			continue
		}
		delete(left, scheduler)
		l.done(ctx, scheduler, run, err)
	}
	return left, failed
}

// done forgets a run, unless a later one has taken its place meanwhile.
func (l *lateSchedules) done(ctx context.Context, scheduler string, run scheduledRun, err error) {
	l.mu.Lock()
	if l.runs[scheduler] == run {
		delete(l.runs, scheduler)
	}
	l.mu.Unlock()
	if err != nil {
		l.given(ctx, run, err)
		return
	}
	l.consumer.backend.config.Log.InfoContext(ctx, "schedule continued",
		"queue", l.consumer.queue, "job_id", string(run.id), "job", run.held.name)
}

// close ends the tries but for a last one.
func (l *lateSchedules) close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.loop.Wait()
	left, err := l.try(ctx, l.consumer.backend.run)
	for _, run := range left {
		l.given(ctx, run, err)
	}
}
