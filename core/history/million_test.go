package history_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/history"
)

// BenchmarkAmongAMillion answers and lists from a SQLite file with a million
// records: of three jobs a second out of ten, of queue jobs, and of three
// replicas.
func BenchmarkAmongAMillion(b *testing.B) {
	const total = 1_000_000
	db, err := storage.Open(b.Context(), storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(b.TempDir(), "own.db")}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	store := db.RunStore("")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := 0; n < total; now = now.Add(5 * time.Minute) {
		var batch []domain.Record
		for at := now; at.Before(now.Add(5 * time.Minute)); at = at.Add(time.Second) {
			batch = append(batch, second(at)...)
		}
		if err := store.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		n += len(batch)
	}
	for _, ago := range []time.Duration{time.Minute, 5 * time.Hour, 15 * time.Hour} {
		q := history.Question{Job: "job-5", At: now.Add(-ago), Now: now}
		b.Run(fmt.Sprintf("why %s ago", ago), func(b *testing.B) {
			for b.Loop() {
				evidence, err := history.Gather(b.Context(), store, &q)
				if err != nil {
					b.Fatal(err)
				}
				_ = history.Explain(q, evidence)
			}
		})
	}
	runs := domain.RunFilter{Origins: domain.Origins()}
	ofJob := runs
	ofJob.Job = "job-3"
	for name, listing := range map[string]history.Listing{
		"runs":            {Filter: runs},
		"runs of a job":   {Filter: ofJob},
		"runs failed":     {Filter: runs, States: []history.State{"failed"}},
		"runs completed":  {Filter: runs, States: []history.State{"completed"}},
		"runs under way":  {Filter: runs, States: []history.State{history.StateRunning}},
		"jobs of a queue": {Filter: domain.RunFilter{Queue: "mail"}},
	} {
		listing.Limit = 50
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := history.List(b.Context(), store, listing); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// second returns what is recorded in one second.
func second(at time.Time) (records []domain.Record) {
	s := int(at.Unix())
	for _, replica := range []string{"ann", "bob", "cid"} {
		if s%30 == 0 {
			records = append(records, domain.Record{At: at, Replica: replica, Event: domain.EventWorkerAlive})
		}
		for j := 0; j < 10 && s%86400 == 0; j++ {
			records = append(records, domain.Record{
				At: at, Replica: replica, Event: domain.EventRegistered, Run: domain.RunKey{Job: fmt.Sprint("job-", j)}, Schedule: "every 1s",
			})
		}
	}
	for j := range 3 {
		key := domain.TickKey(fmt.Sprint("job-", (s+j)%10), at)
		for _, event := range []domain.Event{domain.EventClaimed, domain.EventStarted, domain.EventCompleted} {
			records = append(records, domain.Record{At: at, Replica: "ann", Event: event, Run: key, Attempt: 1})
		}
	}
	for j := range 5 {
		records = append(records, domain.Record{
			At: at, Replica: "bob", Event: domain.EventCompleted, Queue: "mail", JobID: domain.JobID(fmt.Sprint(s, "-", j)), JobName: "send", Attempt: 1,
		})
	}
	return records
}
