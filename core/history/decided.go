package history

import (
	"context"
	"slices"
	"time"

	"github.com/taktwork/takt/core/domain"
)

// runsAtOnce bounds how many runs are asked for in one query: each is looked for among
// all that is known of its job.
const runsAtOnce = 100

// decidedLast returns what was decided last about the subjects of the records, which are
// ordered newest first. A subject about which nothing was decided is not in it.
func decidedLast(ctx context.Context, reader Reader, records []domain.Record) (map[domain.Subject]domain.Event, error) {
	var runs, jobs []domain.Record
	for i := range records {
		switch about := records[i].Subject(); {
		case about.Run.Origin != "":
			runs = append(runs, records[i])
		case about.JobID != "":
			jobs = append(jobs, records[i])
		}
	}
	parts := slices.Collect(slices.Chunk(runs, runsAtOnce))
	if len(jobs) > 0 {
		parts = append(parts, jobs)
	}
	lately := map[domain.Subject]domain.Event{}
	for _, part := range parts {
		if err := addDecided(ctx, reader, part, lately); err != nil {
			return nil, err
		}
	}
	return lately, nil
}

// addDecided adds what was decided last about the subjects of the records, which are all runs
// or all queue jobs.
func addDecided(ctx context.Context, reader Reader, records []domain.Record, lately map[domain.Subject]domain.Event) error {
	unknown, since := subjectsOf(records)
	filter := domain.RunFilter{Since: since, Limit: min(max(perRun*len(unknown), pageLeast), pageMost)}
	for len(unknown) > 0 {
		filter.Runs = unknown.runs()
		filter.Queue, filter.JobIDs = unknown.jobIDs()
		page, err := reader.Query(ctx, filter)
		if err != nil {
			return err
		}
		for i := range page {
			if about := page[i].Subject(); unknown[about] && decides(page[i].Event) {
				lately[about] = page[i].Event
				delete(unknown, about)
			}
		}
		if len(page) < filter.Limit {
			break
		}
		filter = filter.Older(&page[len(page)-1])
	}
	return nil
}

// subjects are runs, or queue jobs.
type subjects map[domain.Subject]bool

// subjectsOf returns the subjects of the records, and since when there is a record that
// decides about each: none decides last that is older.
func subjectsOf(records []domain.Record) (all subjects, since time.Time) {
	all, since = make(subjects, len(records)), records[len(records)-1].At
	for i := range records {
		all[records[i].Subject()] = true
		if !decides(records[i].Event) {
			since = time.Time{}
		}
	}
	return all, since
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
