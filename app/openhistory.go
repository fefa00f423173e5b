package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/app/control"
	"github.com/taktwork/takt/core/domain"
	"github.com/taktwork/takt/core/ports"
)

// ErrNoHistory says that storage holds no history.
var ErrNoHistory = errors.New("storage holds no history")

// OpenHistory opens the history that workers of the settings keep in storage,
// for whoever reads it beside them; closing ends it. It makes no file and no
// schema: where there is none, or no storage at all, the error is [ErrNoHistory].
// Other errors are those of [storage.Open].
func OpenHistory(ctx context.Context, s Settings) (history ports.RunStore, closing func() error, err error) {
	s = s.withDefaults()
	db, err := openKept(ctx, s)
	if errors.Is(err, errNothingKept) {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoHistory, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open history %s: %w", s.Storage, err)
	}
	return db.RunStore(s.Namespace), db.Close, nil
}

// errNothingKept says that workers keep nothing in storage, or have not yet.
var errNothingKept = errors.New("nothing is kept in storage")

// openKept opens the storage of workers for a process beside them, and changes
// nothing in it. Where there is none yet the error is errNothingKept.
func openKept(ctx context.Context, s Settings) (*storage.DB, error) {
	if !s.hasStorage() {
		return nil, errNothingKept
	}
	own := s.Storage
	if own.Dialect == storage.SQLite {
		own.SQLite.Foreign = true
		if _, err := os.Stat(own.SQLite.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no file %s", errNothingKept, own.SQLite.Path)
		}
	}
	db, err := storage.Open(ctx, own)
	if err != nil {
		return nil, err
	}
	if err := db.CheckSchema(ctx); err != nil {
		err = errors.Join(err, db.Close())
		if errors.Is(err, storage.ErrNoSchema) {
			return nil, fmt.Errorf("%w: %w", errNothingKept, err)
		}
		return nil, err
	}
	return db, nil
}

// RecordsRequest asks for records of the worker's history.
type RecordsRequest struct {
	Filter domain.RunFilter `json:"filter"`
}

// RecordsReply holds the records, as [ports.RunStore] orders them.
type RecordsReply struct {
	Records []domain.Record `json:"records"`
}

// mostRecords bounds a reply.
const mostRecords = 1000

func (c *controlAPI) records(ctx context.Context, params json.RawMessage) (any, error) {
	var request RecordsRequest
	if err := control.DecodeParams(params, &request); err != nil {
		return nil, err
	}
	if request.Filter.Limit > mostRecords {
		return nil, control.WithCode(control.CodeBadData, fmt.Errorf("limit %d; at most %d records in one reply", request.Filter.Limit, mostRecords))
	}
	records, err := c.service.Runs(ctx, request.Filter)
	switch {
	case errors.Is(err, ErrNotStarted), errors.Is(err, ports.ErrUnavailable):
		return nil, control.WithCode(control.CodeUnavailable, err)
	case err != nil:
		return nil, err
	}
	return RecordsReply{Records: records}, nil
}
