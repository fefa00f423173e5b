package e2e_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

// namespace is that of workers that are not given another one.
const namespace = "default"

// shop commits orders, each with a job that belongs to it, to the database of a fleet.
type shop struct {
	db     *storage.DB
	outbox *storage.Outbox
	// kept and failed count orders.
	kept, failed atomic.Int64
}

func openShop(t *testing.T, config storage.Config) *shop {
	t.Helper()
	db, err := storage.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &shop{db: db, outbox: db.Outbox(storage.OutboxConfig{Namespace: namespace})}
}

// keepOrdering takes orders until stop is closed. Every third one is withdrawn.
func (s *shop) keepOrdering(ctx context.Context, stop <-chan struct{}) {
	for number := 1; ; number++ {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
			if s.order(ctx, number) == nil {
				s.kept.Add(1)
			} else {
				s.failed.Add(1)
			}
		}
	}
}

func (s *shop) order(ctx context.Context, number int) error {
	tx, err := s.db.Bun().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	job := domain.NewJob{Queue: "faults", Name: "faults.job", Data: fmt.Appendf(nil, "%q", orderName(number))}
	if number%2 == 0 {
		job.Options.KeepCompleted = domain.KeepNone()
	}
	if err := s.outbox.Enqueue(ctx, storage.BunTx(tx), job); err != nil {
		return err
	}
	if _, err := tx.NewRaw("INSERT INTO orders (number) VALUES (?)", number).Exec(ctx); err != nil {
		return err
	}
	if number%3 == 0 {
		return tx.Rollback()
	}
	return tx.Commit()
}

func orderName(number int) string { return fmt.Sprint("order-", number) }

// orders returns what was committed: a producer whose connection breaks at the end
// does not know.
func (s *shop) orders(t *testing.T) []string {
	t.Helper()
	var numbers []int
	// The first connections may still be those that a fault broke.
	for deadline := time.Now().Add(patience); ; {
		numbers = nil
		err := s.db.Bun().NewRaw("SELECT number FROM orders ORDER BY number").Scan(t.Context(), &numbers)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	names := make([]string, len(numbers))
	for i, number := range numbers {
		names[i] = orderName(number)
	}
	return names
}

// records returns all that is known of scheduled runs and of jobs of the queue.
func (s *shop) records(t *testing.T) []domain.Record {
	t.Helper()
	var all []domain.Record
	const page = 5000
	filter := domain.RunFilter{AfterID: -1 << 62, Limit: page}
	for {
		records, err := s.db.RunStore(namespace).Query(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
		if len(records) < page {
			return all
		}
		filter.AfterID = records[len(records)-1].ID
	}
}

// rows is how many jobs the outbox has not seen through.
func (s *shop) rows(ctx context.Context) (rows int, err error) {
	err = s.db.Bun().NewRaw("SELECT count(*) FROM outbox").Scan(ctx, &rows)
	return rows, err
}
