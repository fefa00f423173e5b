package history

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// subjects are runs, or queue jobs.
type subjects map[domain.Subject]bool

// decidedLast returns what was decided last about the subjects of the records, which are
// ordered newest first. A subject about which nothing was decided is not in it.
func decidedLast(ctx context.Context, reader Reader, records []domain.Record) (map[domain.Subject]domain.Event, error) {
	lately := map[domain.Subject]domain.Event{}
	runs, jobs, since := subjectsOf(records)
	for _, unknown := range []subjects{runs, jobs} {
		if err := unknown.lookUp(ctx, reader, since, lately); err != nil {
			return nil, err
		}
	}
	return lately, nil
}

// lookUp takes out those subjects about which something was decided since then, and sets
// what it was.
func (s subjects) lookUp(ctx context.Context, reader Reader, since time.Time, lately map[domain.Subject]domain.Event) error {
	filter := domain.RunFilter{Since: since, Limit: max(perRun*len(s), pageLeast)}
	for len(s) > 0 {
		filter.Runs = s.runs()
		filter.Queue, filter.JobIDs = s.jobIDs()
		page, err := reader.Query(ctx, filter)
		if err != nil {
			return err
		}
		for i := range page {
			if about := page[i].Subject(); s[about] && decides(page[i].Event) {
				lately[about] = page[i].Event
				delete(s, about)
			}
		}
		if len(page) < filter.Limit {
			break
		}
		filter = filter.Older(&page[len(page)-1])
	}
	return nil
}

// subjectsOf returns the subjects of the records, and since when there is a record that
// decides about each: none decides last that is older.
func subjectsOf(records []domain.Record) (runs, jobs subjects, since time.Time) {
	runs, jobs, since = subjects{}, subjects{}, records[len(records)-1].At
	for i := range records {
		about := records[i].Subject()
		switch {
		case about.Run.Origin != "":
			runs[about] = true
		case about.JobID != "":
			jobs[about] = true
		default:
			continue
		}
		if !decides(records[i].Event) {
			since = time.Time{}
		}
	}
	return runs, jobs, since
}

func (s subjects) runs() (runs []domain.RunKey) {
	for about := range s {
		if about.Run.Origin != "" {
			runs = append(runs, about.Run)
		}
	}
	return runs
}

// jobIDs returns the ids of queue jobs, in their order, and their queue if all have the
// same.
func (s subjects) jobIDs() (queue domain.QueueName, ids []domain.JobID) {
	for about := range s {
		switch {
		case about.JobID == "":
			continue
		case len(ids) == 0:
			queue = about.Queue
		case queue != about.Queue:
			queue = ""
		}
		ids = append(ids, about.JobID)
	}
	slices.Sort(ids)
	return queue, slices.Compact(ids)
}
