package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/taktwork/takt/adapters/storage"
)

// ErrNoOutbox says that there is no outbox in storage.
var ErrNoOutbox = errors.New("storage holds no outbox")

// OpenOutbox opens the outbox of workers of the settings, for whoever looks after
// it beside them; closing ends it. It makes no file and no schema: where there is
// none, or no storage at all, the error is [ErrNoOutbox]. Other errors are those of
// [storage.Open].
func OpenOutbox(ctx context.Context, s Settings) (outbox *storage.Outbox, closing func() error, err error) {
	s = s.withDefaults()
	db, err := openKept(ctx, s)
	if errors.Is(err, errNothingKept) {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoOutbox, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open outbox %s: %w", s.Storage, err)
	}
	return db.Outbox(storage.OutboxConfig{Namespace: s.Namespace, MaxPayload: s.MaxPayload}), db.Close, nil
}
