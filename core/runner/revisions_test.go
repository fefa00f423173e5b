package runner_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/runner"
)

// stuckStore takes no records while it is stuck.
type stuckStore struct {
	ports.RunStore

	stuck atomic.Bool
}

func (s *stuckStore) Append(ctx context.Context, records []domain.Record) error {
	if s.stuck.Load() {
		return fmt.Errorf("append: %w", ports.ErrUnavailable)
	}
	return s.RunStore.Append(ctx, records)
}

// releasedJobs returns manual jobs of a release.
func releasedJobs(n int, release string) []runner.ScheduledJob {
	jobs := make([]runner.ScheduledJob, n)
	for i := range jobs {
		jobs[i] = manualJob(fmt.Sprint("job-", i), takes(0))
		jobs[i].Fingerprint = release
	}
	return jobs
}

// superseded returns how many records of the history say that a definition is.
func (f *fleet) superseded(t *testing.T) int {
	t.Helper()
	records, err := f.shared.Query(t.Context(), domain.RunFilter{Events: []domain.Event{domain.EventRegistered}, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range records {
		if records[i].Reason == domain.ReasonSuperseded {
			n++
		}
	}
	return n
}

// A new release supersedes all definitions at once. The log tells it in a line, and
// a history that is behind takes it in when it has room: no decision is shed.
func TestRevisions_ofVeryManyJobsFloodNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = runner.JournalLimit + 1000
		f := newFleet(t)
		store := &stuckStore{RunStore: inmemqueue.NewRunStore(500_000)}
		f.shared = store
		ann := f.start(t, "ann", append(releasedJobs(jobs, "v1"), manualJob("report", takes(0)))...)
		f.waitUntil(10 * time.Second)
		store.stuck.Store(true)
		bob := f.start(t, "bob", releasedJobs(jobs, "v2")...)
		f.waitUntil(40 * time.Second)
		if n := f.log.count("a newer definition"); n < 1 || n > 5 || f.log.count(fmt.Sprintf("count=%d", jobs)) != 1 {
			t.Errorf("the release was logged %d times, want once for all", n)
		}
		ann.handTo(t, "meanwhile")
		store.stuck.Store(false)
		f.waitUntil(80 * time.Second)
		if n := f.superseded(t); n != jobs {
			t.Errorf("the history knows of %d superseded definitions, want %d", n, jobs)
		}
		records, err := store.Query(t.Context(), domain.RunFilter{Job: "report", Events: []domain.Event{domain.EventCompleted}, Limit: 10})
		if err != nil || len(records) != 1 {
			t.Errorf("the history knows %d ends of the run in between (%v), want it", len(records), err)
		}
		bob.stop()
		f.waitUntil(120 * time.Second)
		if n := f.log.count("valid again"); n != 1 {
			t.Errorf("the rollback was logged %d times, want once for all", n)
		}
	})
}
