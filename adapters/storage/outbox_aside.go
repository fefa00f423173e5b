package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// AsideState says why a row of an outbox is set aside.
type AsideState string

const (
	// AsideRefused is a row whose queue will never take its job as it is.
	AsideRefused AsideState = "refused"
	// AsideUnknown is a row that was handed over so long ago that it is not known
	// whether its job got to its queue: handed over again, it may be there twice.
	AsideUnknown AsideState = "unknown"
)

// AsideStates returns all of them.
func AsideStates() []AsideState { return []AsideState{AsideRefused, AsideUnknown} }

func (s AsideState) column() rowState {
	if s == AsideUnknown {
		return rowUnknown
	}
	return rowRefused
}

// AsideRow is a row of an outbox that stays until an operator decides about it:
// no relay touches it.
type AsideRow struct {
	ID    int64
	Queue domain.QueueName
	// Name is that of the job.
	Name  string
	State AsideState
	// Reason says why the row is set aside; clean text.
	Reason string
	// Bytes is the size of the payload.
	Bytes int64
	// Created is when the row was added; Tried when it was first handed over, zero
	// if that is not known.
	Created, Tried time.Time
}

// AsideFilter selects rows that are set aside; the zero value all of them.
type AsideFilter struct {
	Queue domain.QueueName
	State AsideState
	// IDs are the rows that are meant; nil for all.
	IDs []int64
	// Limit bounds how many are selected; zero for no bound.
	Limit int
}

// asidePage is how many rows are read or changed in one go.
const asidePage = 500

// asidePlace is where rows of one queue and state are.
type asidePlace struct {
	queue domain.QueueName
	state AsideState
}

// asidePart is the next part of the rows in a place.
type asidePart struct {
	asidePlace

	// ids are the rows that are meant, nil for all.
	ids   []int64
	after int64
	most  int
}

// Aside hands the rows that are set aside to each, some at a time, by queue, state
// and ID. It ends at the first error of each, and returns it.
func (o *Outbox) Aside(ctx context.Context, filter AsideFilter, each func(rows []AsideRow) error) error {
	places, err := o.asidePlaces(ctx, filter)
	if err != nil {
		return err
	}
	left := filter.Limit
	for _, place := range places {
		found, err := o.eachAside(ctx, asidePart{asidePlace: place, ids: filter.IDs, most: left}, each)
		if err != nil {
			return err
		}
		if left -= found; filter.Limit > 0 && left == 0 {
			return nil
		}
	}
	return nil
}

// asidePlaces returns where rows of the filter may be.
func (o *Outbox) asidePlaces(ctx context.Context, filter AsideFilter) ([]asidePlace, error) {
	queues, states := []domain.QueueName{filter.Queue}, []AsideState{filter.State}
	if filter.Queue == "" {
		var err error
		if queues, err = o.asideQueues(ctx); err != nil {
			return nil, err
		}
	}
	if filter.State == "" {
		states = AsideStates()
	}
	var places []asidePlace
	for _, queue := range queues {
		for _, state := range states {
			places = append(places, asidePlace{queue, state})
		}
	}
	return places, nil
}

// eachAside hands the rows to each, at most so many as the part says, if it does.
func (o *Outbox) eachAside(ctx context.Context, part asidePart, each func([]AsideRow) error) (found int, err error) {
	most := part.most
	for {
		part.most = asidePage
		if most > 0 {
			part.most = min(asidePage, most-found)
		}
		rows, err := o.asideRows(ctx, &part)
		if err != nil {
			return found, err
		}
		found += len(rows)
		if len(rows) > 0 {
			part.after = rows[len(rows)-1].ID
			if err := each(rows); err != nil {
				return found, err
			}
		}
		if len(rows) < part.most || found == most {
			return found, nil
		}
	}
}

// asideRows returns the rows of the part.
func (o *Outbox) asideRows(ctx context.Context, part *asidePart) ([]AsideRow, error) {
	var rows []AsideRow
	s := statement{
		text: compile(o.dialect, sqlAside), looksUp: true,
		args: []any{o.config.Namespace, string(part.queue), int64(part.state.column()), part.after, int64(part.most)},
	}
	if part.ids != nil {
		s.text, s.set = compile(o.dialect, sqlAsideOf), []any{part.ids}
	}
	s.row = func(scan scanner) error {
		row := AsideRow{Queue: part.queue, State: part.state}
		var createdUS int64
		var triedUS *int64
		err := scan(&row.ID, &row.Name, &row.Reason, &row.Bytes, &createdUS, &triedUS)
		row.Created = microTime(createdUS)
		if triedUS != nil && *triedUS != triedInVain {
			row.Tried = microTime(*triedUS)
		}
		rows = append(rows, row)
		return err
	}
	if err := o.runner.read(ctx, s); err != nil {
		return nil, fmt.Errorf("look into outbox: %w", err)
	}
	return rows, nil
}

// asideQueues returns the queues that have rows which are set aside.
func (o *Outbox) asideQueues(ctx context.Context) ([]domain.QueueName, error) {
	var queues []domain.QueueName
	err := o.runner.read(ctx, statement{
		text: compile(o.dialect, sqlAsideQueues), args: []any{o.config.Namespace}, looksUp: true,
		row: func(scan scanner) error {
			var name domain.QueueName
			err := scan(&name)
			queues = append(queues, name)
			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("look into outbox: %w", err)
	}
	slices.Sort(queues)
	return queues, nil
}

// RetryAside has the rows handed over as if they were new, and returns the IDs of
// those that are: others are not set aside any more. A relay takes them within
// some seconds. A row that is unknown may then be on its queue twice.
func (o *Outbox) RetryAside(ctx context.Context, rows []AsideRow) ([]int64, error) {
	return o.changeAside(ctx, sqlRetryAside, rows)
}

// DropAside deletes the rows, and returns the IDs of those that were there.
func (o *Outbox) DropAside(ctx context.Context, rows []AsideRow) ([]int64, error) {
	return o.changeAside(ctx, sqlDropAsideOf(o.dialect), rows)
}

// changeAside carries out the statement on the rows, in one transaction.
func (o *Outbox) changeAside(ctx context.Context, text string, rows []AsideRow) ([]int64, error) {
	ids := make(map[asidePlace][]int64)
	var places []asidePlace
	for i := range rows {
		at := asidePlace{rows[i].Queue, rows[i].State}
		if ids[at] == nil {
			places = append(places, at)
		}
		ids[at] = append(ids[at], rows[i].ID)
	}
	var changed []int64
	statements := make([]statement, 0, len(places))
	for _, at := range places {
		statements = append(statements, statement{
			text: compile(o.dialect, text), looksUp: true,
			args: []any{o.config.Namespace, string(at.queue), int64(at.state.column())}, set: []any{ids[at]},
			row: func(scan scanner) error {
				var id int64
				err := scan(&id)
				changed = append(changed, id)
				return err
			},
		})
	}
	if len(statements) == 0 {
		return nil, nil
	}
	if err := o.runner.write(ctx, statements...); err != nil {
		return nil, fmt.Errorf("change outbox: %w", err)
	}
	o.hint()
	return changed, nil
}
