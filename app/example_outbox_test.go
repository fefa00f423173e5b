package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app"
)

// Shop keeps orders, and has each of them packed.
type Shop struct{ outbox *app.Outbox }

// NewShop is given what the worker provides.
func NewShop(outbox *app.Outbox) *Shop { return &Shop{outbox: outbox} }

// Order stores an order and enqueues the job that packs it, both or neither.
func (s *Shop) Order(ctx context.Context, order Order) error {
	db, ok := s.outbox.DB()
	if !ok {
		return app.ErrStorage
	}
	tx, err := db.Bun().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // undoes nothing after Commit
	if _, err := tx.NewRaw("INSERT INTO orders (number) VALUES (?)", order.Number).Exec(ctx); err != nil {
		return err
	}
	if err := s.outbox.Enqueue(ctx, storage.BunTx(tx), "orders", "pack", order); err != nil {
		return err
	}
	return tx.Commit()
}

// createTable makes the table of the orders, with the worker's start.
func (s *Shop) createTable(ctx context.Context) error {
	db, ok := s.outbox.DB()
	if !ok {
		return app.ErrStorage
	}
	_, err := db.Bun().NewRaw("CREATE TABLE orders (number integer PRIMARY KEY)").Exec(ctx)
	return err
}

// An outbox makes a job part of a transaction: an order that is not stored is not
// packed either, and one that is stored will be.
func ExampleOutbox() {
	dir, err := os.MkdirTemp("", "takt")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	packed := make(chan struct{})
	var shop *Shop
	feature := app.Feature("shop", func(s *Shop, lifecycle app.Lifecycle) app.Contribution {
		shop = s
		lifecycle.Append(app.Hook{OnStart: s.createTable})
		pack := func(_ context.Context, job app.Job[Order]) (any, error) {
			defer close(packed)
			fmt.Println("pack order", job.Data.Number)
			return nil, nil
		}
		return app.Contribution{Queues: []string{"orders"}, Handlers: []app.Handler{app.Handle("orders", "pack", pack)}}
	}, app.Provide(NewShop))
	worker := startWith(app.Settings{
		Storage: storage.Config{Dialect: storage.SQLite, SQLite: storage.SQLiteConfig{Path: filepath.Join(dir, "shop.db")}},
	}, feature)
	defer worker.Stop(context.Background())

	if err := shop.Order(context.Background(), Order{Number: 7}); err != nil {
		fmt.Println(err)
	}
	<-packed
	// The number is taken, so nothing is packed.
	fmt.Println(shop.Order(context.Background(), Order{Number: 7}) != nil)
	// Output:
	// pack order 7
	// true
}
