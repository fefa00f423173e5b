package inmemqueue_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/inmemqueue"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
	"github.com/taktwork/takt/core/ports/porttest"
)

func TestRunStore(t *testing.T) {
	porttest.RunStore(t, func(*testing.T) ports.RunStore { return inmemqueue.NewRunStore(1000) })
}

func records(seconds ...int64) []domain.Record {
	made := make([]domain.Record, len(seconds))
	for i, s := range seconds {
		made[i] = domain.Record{At: time.Unix(s, 0), Event: domain.EventStarted}
	}
	return made
}

func TestRunStore_dropsTheOldestWhenFull(t *testing.T) {
	store := inmemqueue.NewRunStore(3)
	for _, batch := range [][]domain.Record{records(1, 2), records(3, 4, 5, 6, 7), records(2)} {
		if err := store.Append(t.Context(), batch); err != nil {
			t.Fatalf("Append = %v, want no error", err)
		}
	}
	got, err := store.Query(t.Context(), domain.RunFilter{})
	if err != nil || len(got) != 3 {
		t.Fatalf("Query = %d records, %v, want 3", len(got), err)
	}
	for i, want := range []int64{7, 6, 5} {
		if got[i].At.Unix() != want {
			t.Errorf("record %d is of second %d, want %d", i, got[i].At.Unix(), want)
		}
	}
	if dropped := store.Dropped(); dropped != 5 {
		t.Errorf("Dropped = %d, want 5", dropped)
	}
}

func TestRunStore_holdsAtLeastOneRecord(t *testing.T) {
	store := inmemqueue.NewRunStore(0)
	if err := store.Append(t.Context(), records(1, 2)); err != nil {
		t.Fatalf("Append = %v, want no error", err)
	}
	if got, err := store.Query(t.Context(), domain.RunFilter{}); err != nil || len(got) != 1 {
		t.Errorf("Query = %v, %v, want 1 record", got, err)
	}
}

func TestRunStore_doesNothingUnderAnEndedContext(t *testing.T) {
	store := inmemqueue.NewRunStore(3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, queryErr := store.Query(ctx, domain.RunFilter{})
	_, pruneErr := store.Prune(ctx, domain.RunRetention{Since: time.Unix(9, 0)}, 1)
	for call, err := range map[string]error{"Append": store.Append(ctx, records(1)), "Query": queryErr, "Prune": pruneErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", call, err)
		}
	}
	if got, err := store.Query(t.Context(), domain.RunFilter{}); err != nil || len(got) != 0 {
		t.Errorf("Query = %v, %v, want nothing", got, err)
	}
}

func BenchmarkRunStoreAppend_full(b *testing.B) {
	store := inmemqueue.NewRunStore(10_000)
	batch := records(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	at := time.Unix(0, 0)
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Second)
		for i := range batch {
			batch[i].At = at
		}
		if err := store.Append(b.Context(), batch); err != nil {
			b.Fatalf("Append = %v, want no error", err)
		}
	}
}

// Any order of appends and prunes leaves what a sorted list would hold.
func TestRunStore_holdsWhatASortedListWould(t *testing.T) {
	const capacity = 70
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 1))
		store := inmemqueue.NewRunStore(capacity)
		var want []domain.Record
		for step := range 200 {
			now := int64(step * 10)
			if dice.IntN(10) == 0 {
				before, limit := time.Unix(now-int64(dice.IntN(300)), 0), 1+dice.IntN(capacity)
				n, err := store.Prune(t.Context(), domain.RunRetention{Since: before}, limit)
				old := slices.IndexFunc(want, func(r domain.Record) bool { return !r.At.Before(before) })
				if old < 0 {
					old = len(want)
				}
				if old = min(old, limit); err != nil || n != old {
					t.Fatalf("seed %d: Prune = %d, %v, want %d", seed, n, err, old)
				}
				want = want[old:]
				continue
			}
			batch := records(now-int64(dice.IntN(50)), now, now-int64(dice.IntN(5)))
			for i := range batch {
				batch[i].Attempt = 3*step + i
			}
			if err := store.Append(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			want = append(slices.Clone(want), batch...)
			slices.SortStableFunc(want, func(a, b domain.Record) int { return a.At.Compare(b.At) })
			want = want[max(len(want)-capacity, 0):]
		}
		got, err := store.Query(t.Context(), domain.RunFilter{Limit: capacity})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(got)
		clearGrowingIDs(t, got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: the records differ (-want +got):\n%s", seed, diff)
		}
	}
}

// clearGrowingIDs checks that the IDs grow as the records were appended, which
// their attempts tell, and takes them away.
func clearGrowingIDs(t *testing.T, got []domain.Record) {
	t.Helper()
	appended := slices.SortedFunc(slices.Values(got), func(a, b domain.Record) int { return a.Attempt - b.Attempt })
	latest := int64(0)
	for i := range appended {
		if appended[i].ID <= latest {
			t.Errorf("record %d has ID %d, the one before it %d", appended[i].Attempt, appended[i].ID, latest)
		}
		latest = appended[i].ID
	}
	for i := range got {
		got[i].ID = 0
	}
}
