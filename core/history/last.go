package history

import (
	"context"
	"slices"

	"github.com/taktwork/takt/core/domain"
)

const (
	// lastPages bounds what [Last] reads of the latest records of all jobs
	// before it asks for single ones, and lastLookUps for how many it does.
	lastPages   = 4
	lastLookUps = 500
)

// Last returns the latest end of a run of each of the jobs that the history
// knows one of: what became of it, whatever replica decided. Of very many jobs
// it leaves out some of those that have not run for long. Errors are those
// of the reader.
func Last(ctx context.Context, reader Reader, jobs []string) (map[string]domain.Record, error) {
	last := make(map[string]domain.Record, len(jobs))
	filter := domain.RunFilter{Origins: domain.Origins(), Events: endings(), Limit: pageMost}
	for range lastPages {
		page, err := reader.Query(ctx, filter)
		if err != nil {
			return nil, err
		}
		for i := range page {
			if _, known := last[page[i].Run.Job]; !known {
				last[page[i].Run.Job] = page[i]
			}
		}
		if len(page) < pageMost {
			return last, nil
		}
		filter = filter.Older(&page[len(page)-1])
	}
	return last, lookUp(ctx, reader, jobs, last)
}

// lookUp adds the jobs that are missing.
func lookUp(ctx context.Context, reader Reader, jobs []string, last map[string]domain.Record) error {
	asked := 0
	for _, job := range jobs {
		if _, known := last[job]; known {
			continue
		}
		if asked++; asked > lastLookUps {
			return nil
		}
		records, err := reader.Query(ctx, domain.RunFilter{Job: job, Origins: domain.Origins(), Events: endings(), Limit: 1})
		if err != nil {
			return err
		}
		if len(records) > 0 {
			last[job] = records[0]
		}
	}
	return nil
}

// Paused returns which jobs are paused, so far as the history knows. Errors are
// those of the reader.
func Paused(ctx context.Context, reader Reader) (map[string]bool, error) {
	records, err := reader.Query(ctx, domain.RunFilter{
		Events: []domain.Event{domain.EventJobPaused, domain.EventJobResumed}, Limit: mostRecords,
	})
	paused := map[string]bool{}
	for _, record := range slices.Backward(records) {
		paused[record.Run.Job] = record.Event == domain.EventJobPaused
	}
	return paused, err
}

// endings are the events after which a run is over, or handed back.
func endings() []domain.Event {
	return slices.DeleteFunc(domain.DecisionEvents(), func(event domain.Event) bool {
		return !ends(event) && event != domain.EventReleased
	})
}
