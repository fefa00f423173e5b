package history

import (
	"context"
	"slices"

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

const (
	// pageLeast and pageMost bound how many records are read at once: some for
	// each run that is listed.
	pageLeast, pageMost = 200, 500
	perRun              = 4
	// mostPages bounds how far back a listing of what is under way looks.
	mostPages = 6
)

// subject is what a record is about: a run or a queue job.
type subject struct {
	run   domain.RunKey
	queue domain.QueueName
	job   domain.JobID
}

func subjectOf(r *domain.Record) subject {
	if r.Run.Origin != "" {
		return subject{run: r.Run}
	}
	return subject{queue: r.Queue, job: r.JobID}
}

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

// List returns the latest record of each run and queue job that the listing
// selects, newest first. whole is false if it stopped looking before the end of
// the history. Errors are those of the reader.
func List(ctx context.Context, reader Reader, listing Listing) (found []domain.Record, whole bool, err error) {
	l := lister{Listing: listing, reader: reader, seen: map[subject]bool{}}
	filter := listing.Filter
	if l.ended() {
		// What has ended is found by its end, however rare that is.
		filter.Events, l.verify = EventsOf(l.States), true
	} else {
		filter.Events = domain.DecisionEvents()
	}
	filter.Limit = min(max(perRun*l.Limit, pageLeast), pageMost)
	for pages := 0; l.verify || len(l.States) == 0 || pages < mostPages; pages++ {
		page, err := reader.Query(ctx, filter)
		if err != nil {
			return nil, false, err
		}
		if err := l.take(ctx, page); err != nil {
			return nil, false, err
		}
		if len(l.found) == l.Limit || len(page) < filter.Limit {
			return l.found, true, nil
		}
		filter = filter.Older(&page[len(page)-1])
	}
	return l.found, false, nil
}

// lister makes a listing of pages of records.
type lister struct {
	Listing

	reader Reader
	seen   map[subject]bool
	found  []domain.Record
	// verify tells that a record seen first need not be the latest.
	verify bool
}

// take adds what is listed of a page.
func (l *lister) take(ctx context.Context, page []domain.Record) error {
	for i := range page {
		if len(l.found) == l.Limit {
			return nil
		}
		chosen, err := l.chooses(ctx, &page[i])
		if err != nil {
			return err
		}
		if chosen {
			l.found = append(l.found, page[i])
		}
	}
	return nil
}

// ended reports whether the states are all those of what has ended.
func (l *lister) ended() bool {
	return len(l.States) > 0 && !slices.Contains(l.States, StateRunning) && !slices.Contains(l.States, StateWaiting)
}

// chooses reports whether the record is the latest about its subject and in one
// of the states.
func (l *lister) chooses(ctx context.Context, record *domain.Record) (bool, error) {
	about := subjectOf(record)
	if l.seen[about] {
		return false, nil
	}
	l.seen[about] = true
	if len(l.States) > 0 && !slices.Contains(l.States, StateOf(record.Event)) {
		return false, nil
	}
	if !l.verify {
		return true, nil
	}
	latest, err := l.reader.Query(ctx, about.filter())
	if err != nil {
		return false, err
	}
	for i := range latest {
		if subjectOf(&latest[i]) == about && decides(latest[i].Event) {
			return StateOf(latest[i].Event) == StateOf(record.Event), nil
		}
	}
	return true, nil
}

// filter selects the latest records about the subject; those about a queue job
// may be preceded by that of the run which queued it.
func (s subject) filter() domain.RunFilter {
	const few = 5
	return domain.RunFilter{Job: s.run.Job, Run: s.run, Queue: s.queue, JobID: s.job, Limit: few}
}
