package app_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
	"github.com/taktwork/takt/core/domain"
)

// The history of an earlier worker is there, that of its queue jobs in memory and the
// values that their handler chose, too.
func TestHistoryOutlivesTheWorker(t *testing.T) {
	t.Parallel()
	settings := app.Settings{
		Replica: "ann",
		Storage: storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(t.TempDir(), "takt.db")}},
	}
	done := make(chan struct{})
	feature := contribute("orders", app.Contribution{
		Jobs: []app.ScheduledJob{app.Schedule("report", nothing)},
		Handlers: []app.Handler{app.Handle("", "order", func(context.Context, app.Job[any]) (any, error) {
			close(done)
			return nil, nil
		}, app.HistoryFields("customer.id", "total"))},
	})
	first := build(t, settings, feature)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Service().TriggerNow(t.Context(), "report"); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Service().Enqueue(t.Context(), "", "order", map[string]any{"customer": map[string]any{"id": "c-7"}, "total": 12.5}); err != nil {
		t.Fatal(err)
	}
	<-done
	first.Stop(context.Background())
	second := build(t, settings, feature)
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, filter := range []domain.RunFilter{
		{Job: "report", Events: []domain.Event{domain.EventCompleted}},
		{JobName: "order", Fields: []domain.Field{{Path: "total", Value: "12.5"}, {Path: "customer.id", Value: "c-7"}}},
	} {
		if records, err := second.Service().Runs(t.Context(), filter); err != nil || len(records) != 1 || records[0].Event != domain.EventCompleted {
			t.Errorf("Runs(%+v) = %v, %v, want what the first worker did", filter, records, err)
		}
	}
	second.Stop(context.Background())
}

func TestHistoryFieldsMustBePaths(t *testing.T) {
	t.Parallel()
	found := problems(t, app.Settings{}, contribute("orders", app.Contribution{Handlers: []app.Handler{
		app.Handle("", "order", ignore, app.HistoryFields("ok.0", "", "a..b", strings.Repeat("x", 257), "nul\x00")),
		app.Handle("", "many", ignore, app.HistoryFields(make([]string, 17)...)),
	}}))
	if len(found) != 4+1+17 {
		t.Errorf("problems = %q, want one for each path that is none, and for too many", found)
	}
}

// slowlyPruned is a store whose pruning takes time and may fail.
type slowlyPruned struct {
	*inmemqueue.RunStore

	mu     sync.Mutex
	steps  []int
	broken bool
}

func (s *slowlyPruned) Prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error) {
	time.Sleep(20 * time.Millisecond) // virtual
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, errors.New("broken")
	}
	n, err := s.RunStore.Prune(ctx, keep, limit)
	s.steps = append(s.steps, n)
	return n, err
}

func (s *slowlyPruned) setBroken(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

func (s *slowlyPruned) stepsMade() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.steps)
}

func (s *slowlyPruned) left(t *testing.T) int {
	t.Helper()
	records, err := s.Query(t.Context(), domain.RunFilter{Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

func TestPruner_keepsHistoryWithinItsBoundsInSmallSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &slowlyPruned{RunStore: inmemqueue.NewRunStore(100_000)}
		book := &logbook{}
		var records []domain.Record
		for n := range 5000 {
			records = append(records, domain.Record{At: time.Now().Add(-time.Duration(5000-n) * time.Second)})
		}
		if err := store.Append(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		stop := app.StartPruner(store, app.Settings{HistoryMaxAge: time.Hour, HistoryMaxRecords: 900}, book.logger())
		time.Sleep(time.Second)
		if left, steps := store.left(t), store.stepsMade(); left != 900 || len(steps) != 3 {
			t.Errorf("%d records are left after steps of %v, want 900 after three", left, steps)
		}
		store.setBroken(true)
		time.Sleep(time.Minute)
		if lines := book.lines("level=WARN", "history not pruned"); len(lines) != 1 {
			t.Errorf("lines = %q, want a warning", lines)
		}
		store.setBroken(false)
		time.Sleep(55 * time.Minute)
		if left := store.left(t); left >= 900 || left < 200 {
			t.Errorf("%d records are left, want those of the last hour", left)
		}
		stop()
	})
}
