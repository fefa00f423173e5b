package storage

import (
	"context"
	"fmt"
	"sync"

	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

var _ ports.RunStore = (*RunStore)(nil)

// RunStore keeps the history of a namespace. It behaves as the one in memory
// does, except that nothing is dropped but by [RunStore.Prune]. Of times it
// keeps microseconds, of planned instants milliseconds; characters that a
// database cannot hold are replaced, and texts beyond these bounds are cut:
// names 256 bytes, ids of jobs 512, reasons 4 KiB, stacks 16 KiB, paths and
// values of fields 256 bytes.
//
// A RunStore is safe for concurrent use; its appends take turns.
type RunStore struct {
	runner    runner
	dialect   Dialect
	namespace string
	writer    historyWriter
	// newest is how many records a query looks up at once, some of each kind. If that
	// may be more, it looks at so many of the newest of all first.
	newest int
	// leastBlock is how many records of one kind in a batch make a block, firstPage how
	// many blocks a query reads first.
	leastBlock, firstPage int

	// appending is held while a batch is appended.
	appending sync.Mutex

	// sweeping guards swept, the kind up to which unused ones were removed.
	sweeping sync.Mutex
	swept    int64
}

// historyWriter changes the history of a namespace, each call in one
// transaction. While ctx lives, an error means that nothing was changed.
type historyWriter interface {
	append(ctx context.Context, batch *historyBatch) error
	// prune removes the oldest records that need not be kept, and returns how
	// many.
	prune(ctx context.Context, keep domain.RunRetention, limit int) (int, error)
	// forget removes those of the kinds that have no record.
	forget(ctx context.Context, kinds []int64) error
}

// RunStore returns the history of a namespace; empty means
// [domain.DefaultNamespace].
func (db *DB) RunStore(namespace string) *RunStore {
	if namespace == "" {
		namespace = domain.DefaultNamespace
	}
	return &RunStore{
		runner: db.runner, dialect: db.dialect, namespace: namespace, writer: db.newHistoryWriter(namespace), newest: 5000,
		leastBlock: leastBlock, firstPage: firstPage,
	}
}

func (db *DB) newHistoryWriter(namespace string) historyWriter {
	if db.dialect == SQLite {
		return newSQLiteHistory(db.transact, namespace)
	}
	return newPostgresHistory(db.runner, namespace)
}

// Append implements [ports.RunStore]. More than 32,768 records at once are
// [domain.ErrInvalid].
func (s *RunStore) Append(ctx context.Context, records []domain.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	if len(records) > mostInBatch {
		return fmt.Errorf("append %d records: %w: at most %d at once", len(records), domain.ErrInvalid, mostInBatch)
	}
	s.appending.Lock()
	defer s.appending.Unlock()
	if err := s.writer.append(ctx, newHistoryBatch(records, s.leastBlock)); err != nil {
		return fmt.Errorf("append %d records: %w", len(records), err)
	}
	return nil
}
