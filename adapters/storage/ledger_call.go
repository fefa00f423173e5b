package storage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/taktwork/takt/core/ports"
)

// Waits between the repetitions of a call whose connection broke.
const (
	repeatFirst = 20 * time.Millisecond
	repeatMost  = time.Second
)

// repeatFew is how often a call is repeated that the next one makes good.
const repeatFew = 5

// inTime is for how long a write is repeated that was not carried out. What it is
// about is decided anew after that: ticks may have become too late.
const inTime = time.Second

// session numbers writes that must not be carried out twice. The number and
// the answer to the latest write lie beside what it wrote, if the database is
// one whose connections break.
type session struct {
	id     int64
	number int64
}

// sessions hands out sessions, each to one call at a time.
type sessions struct {
	mu   sync.Mutex
	idle []*session
}

// take returns a session, with the number of its next write, that nobody else
// uses until it is put back.
func (s *sessions) take() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := &session{id: newStamp()}
	if last := len(s.idle) - 1; last >= 0 {
		taken, s.idle = s.idle[last], s.idle[:last]
	}
	taken.number++
	return taken
}

func (s *sessions) put(back *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, back)
}

// onceWrite is a write that must not be carried out twice.
type onceWrite struct {
	// count is how many numbers it gets; isNews tells that the last of them is
	// a version.
	count  int
	isNews bool
	// begin is called with each attempt. It forgets what an earlier one
	// answered and returns the statements that follow on the numbers.
	begin func(s *session) []statement
	// recall is called in place of the rows' functions, when an attempt whose
	// answer was lost has been carried out. jobs are those that the write
	// concerned, or nil if it concerned all that it was to.
	recall func(ctx context.Context, jobs []string) error
	// numbering is what the write learned.
	numbering numbering
}

// writeOnce carries out the write. When the connection breaks it asks, again
// and again while ctx lives, whether the write took effect, and carries it out
// if it did not. If its call has done nothing before and the answer is not there
// in time, it makes sure that the write never takes effect and returns
// [ports.ErrUnavailable].
func (l *Ledger) writeOnce(ctx context.Context, begun *bool, w *onceWrite) error {
	s := l.sessions.take()
	defer l.sessions.put(s)
	dispensable, until := !*begun, time.Now().Add(inTime)
	cancelled := false
	err := l.untilKnown(ctx, begun, func() error {
		cancelled = dispensable && *begun && time.Now().After(until)
		err := l.write(ctx, func() []statement {
			if cancelled {
				return []statement{l.statement(l.sql.cancel, s.id, s.number)}
			}
			statements := []statement{l.numbers(w.count, w.isNews, &w.numbering)}
			if l.sql.note != "" {
				statements = append(statements, l.statement(l.sql.note, s.id, s.number))
			}
			return append(statements, w.begin(s)...)
		})
		if !isRepetition(err) {
			return err
		}
		cancelled, err = l.recall(ctx, w, s)
		return err
	})
	if err == nil && cancelled {
		return fmt.Errorf("a write was not carried out in time: %w", ports.ErrUnavailable)
	}
	return err
}

// recall reads the answer to a write that was carried out, or that it was
// cancelled.
func (l *Ledger) recall(ctx context.Context, w *onceWrite, s *session) (cancelled bool, err error) {
	w.begin(s)
	var jobs []string
	found := false
	answer := l.statement(l.sql.answer, s.id, s.number)
	answer.row = func(scan scanner) error {
		found = true
		var last, nowUS int64
		err := scan(&last, &nowUS, &jobs)
		cancelled = last == 0
		w.numbering = numbering{before: last - int64(w.count), now: microTime(nowUS)}
		return err
	}
	if err := l.runner.read(ctx, answer); err != nil || cancelled {
		return cancelled, err
	}
	if !found {
		return false, fmt.Errorf("the answer to a write is gone: %w", ports.ErrUnavailable)
	}
	return false, w.recall(ctx, jobs)
}

// untilKnown makes attempts until one tells what became of it, or ctx ends.
// Once the call has begun to take effect, or may have, an outage is no answer.
func (l *Ledger) untilKnown(ctx context.Context, begun *bool, attempt func() error) error {
	for wait := repeatFirst; ; wait = min(2*wait, repeatMost) {
		err := attempt()
		*begun = *begun || isDoubtful(err)
		if err == nil || ctx.Err() != nil || !*begun || !isOutage(err) {
			return err
		}
		pause(ctx, wait)
	}
}

// repeatable carries out a write that does no harm twice, and repeats it until
// it is known whether it took effect.
func (l *Ledger) repeatable(ctx context.Context, statements func() []statement) error {
	return l.untilKnown(ctx, new(bool), func() error { return l.write(ctx, statements) })
}

// aFewTimes makes attempts until one does not meet a broken connection: there
// may be several in the pool. It gives up soon.
func aFewTimes(ctx context.Context, attempt func() error) error {
	wait := repeatFirst
	for range repeatFew {
		if err := attempt(); err == nil || !isDoubtful(err) {
			return err
		}
		pause(ctx, wait)
		wait *= 2
	}
	return attempt()
}

// write carries out the statements that it is given, again if another
// transaction got in the way.
func (l *Ledger) write(ctx context.Context, statements func() []statement) error {
	for {
		if err := l.runner.write(ctx, statements()...); !isCollision(err) {
			return err
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
