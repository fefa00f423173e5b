package history

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// State is how far a run or queue job has come, in the words of listings: the
// latest [domain.Event] about it, or one of those below for those under way.
type State string

// The states of what has not ended.
const (
	StateRunning State = "running"
	StateWaiting State = "waiting"
)

// StateOf returns the state that the latest record about a run or job tells.
func StateOf(event domain.Event) State {
	switch event { //nolint:exhaustive // all others are states by themselves
	case domain.EventStarted, domain.EventRetrying, domain.EventTimedOut, domain.EventStuck, domain.EventLate, domain.EventAbandoned:
		return StateRunning
	case domain.EventClaimed, domain.EventJittered, domain.EventQueued, domain.EventReleased:
		return StateWaiting
	}
	return State(event)
}

// States returns all states there are.
func States() []State {
	states := []State{StateRunning, StateWaiting}
	for _, event := range domain.DecisionEvents() {
		if state := StateOf(event); !slices.Contains(states, state) {
			states = append(states, state)
		}
	}
	return states
}

// EventsOf returns the events that tell one of the states.
func EventsOf(states []State) []domain.Event {
	return slices.DeleteFunc(domain.DecisionEvents(), func(event domain.Event) bool { return !slices.Contains(states, StateOf(event)) })
}

// OfQueueJobs reports whether queue jobs alone can be in the state.
func (s State) OfQueueJobs() bool {
	switch domain.Event(s) { //nolint:exhaustive // runs can be in all others
	case domain.EventDropped, domain.EventParked, domain.EventSnoozed, domain.EventReturned, domain.EventLimited,
		domain.EventWaiting, domain.EventRequeued:
		return true
	}
	return false
}

const (
	// manyLookedAt bounds how many records are looked at for a short listing of
	// states, and perRun for a long one: of each it is asked whether it is the latest.
	manyLookedAt = 5000
	// pageLeast and pageMost bound how many records are read at once: some for
	// each run that is listed.
	pageLeast, pageMost = 200, 500
	perRun              = 4
)

// Listing says which runs and queue jobs are listed.
type Listing struct {
	// Filter selects the records that are looked at; its events and limit do
	// not count.
	Filter domain.RunFilter
	// States are those listed; none mean any.
	States []State
	// Limit is how many are listed.
	Limit int
}

// Listed is what a listing found.
type Listed struct {
	// Records are the latest about each run and queue job, newest first.
	Records []domain.Record
	// Reached is the time after which all records were looked at, if there may be
	// more: a listing of rare states ends after very many. Zero if enough was found,
	// or there is no more.
	Reached time.Time
}

// List returns the latest record of each run and queue job that the listing
// selects. Errors are those of the reader.
func List(ctx context.Context, reader Reader, listing Listing) (Listed, error) {
	l := lister{Listing: listing, reader: reader}
	if len(l.States) == 0 {
		l.Filter.Events = slices.DeleteFunc(domain.DecisionEvents(), func(event domain.Event) bool {
			_, tells := event.UnderWay()
			return !tells
		})
		found, err := l.list(ctx)
		return Listed{Records: found}, err
	}
	underWay, ended := divide(l.States)
	// What has ended is found by its end, and what is under way among all that
	// is, however rare either may be.
	l.Filter.Events, l.verify = EventsOf(ended), true
	found, err := l.list(ctx)
	if err != nil {
		return Listed{}, err
	}
	l.Filter.Events, l.Filter.UnderWay = EventsOf(underWay), true
	more, err := l.list(ctx)
	if err != nil {
		return Listed{}, err
	}
	found = append(found, more...)
	slices.SortFunc(found, func(a, b domain.Record) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	// Before what was reached there may be newer ones than those found there.
	known, _ := slices.BinarySearchFunc(found, l.reached, func(r domain.Record, reached time.Time) int { return reached.Compare(r.At) })
	if known < l.Limit && !l.reached.IsZero() {
		return Listed{Records: found[:known], Reached: l.reached}, nil
	}
	return Listed{Records: found[:min(len(found), l.Limit)]}, nil
}

// divide parts the states into those of what is under way and those of what
// is not.
func divide(states []State) (underWay, ended []State) {
	for _, state := range states {
		if state == StateRunning || state == StateWaiting {
			underWay = append(underWay, state)
		} else {
			ended = append(ended, state)
		}
	}
	return underWay, ended
}

// lister makes a listing of pages of records.
type lister struct {
	Listing

	reader Reader
	seen   map[domain.Subject]bool
	found  []domain.Record
	// verify tells that a record seen first need not be the latest.
	verify bool
	// reached is the time back to which was looked, zero if that was all.
	reached time.Time
}

// list reads pages until there is enough, no more, or too many were looked at.
func (l *lister) list(ctx context.Context) ([]domain.Record, error) {
	l.seen, l.found = map[domain.Subject]bool{}, nil
	filter := l.Filter
	if len(filter.Events) == 0 {
		return nil, nil
	}
	filter.Limit = min(max(perRun*l.Limit, pageLeast), pageMost)
	for looked := 0; ; {
		page, err := l.reader.Query(ctx, filter)
		if err != nil {
			return nil, err
		}
		if err := l.take(ctx, page); err != nil {
			return nil, err
		}
		if len(l.found) == l.Limit || len(page) < filter.Limit {
			return l.found, nil
		}
		if looked += len(page); l.verify && looked >= max(perRun*l.Limit, manyLookedAt) {
			l.reached = latest(l.reached, page[len(page)-1].At)
			return l.found, nil
		}
		filter = filter.Older(&page[len(page)-1])
		filter.Limit = pageMost
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// take adds what is listed of a page.
func (l *lister) take(ctx context.Context, page []domain.Record) error {
	fresh := l.unseen(page)
	if !l.verify {
		l.found = append(l.found, fresh[:min(len(fresh), l.Limit-len(l.found))]...)
		return nil
	}
	// Mostly as many as are wanted are in their state still.
	for some := l.Limit - len(l.found); len(fresh) > 0 && len(l.found) < l.Limit; some = len(fresh) {
		part := fresh[:min(some, len(fresh))]
		if err := l.takeLatest(ctx, part); err != nil {
			return err
		}
		fresh = fresh[len(part):]
	}
	return nil
}

// unseen returns the first record of the page about each subject that none before
// was about.
func (l *lister) unseen(page []domain.Record) (fresh []domain.Record) {
	for i := range page {
		if about := page[i].Subject(); !l.seen[about] {
			l.seen[about] = true
			fresh = append(fresh, page[i])
		}
	}
	return fresh
}

// takeLatest adds the records whose subject is in the state that they tell.
func (l *lister) takeLatest(ctx context.Context, records []domain.Record) error {
	lately, err := decidedLast(ctx, l.reader, records)
	if err != nil {
		return err
	}
	for i := range records {
		if len(l.found) == l.Limit {
			return nil
		}
		event, known := lately[records[i].Subject()]
		if !known || StateOf(event) == StateOf(records[i].Event) {
			l.found = append(l.found, records[i])
		}
	}
	return nil
}
