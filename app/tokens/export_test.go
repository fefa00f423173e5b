package tokens

import (
	"context"
	"time"

	"github.com/taktwork/takt/adapters/storage"
)

// Expire and Revoke are the clean-ups, on a database whose platform runs in
// the zone.
func Expire(ctx context.Context, db *storage.DB, zone *time.Location) (int64, error) {
	return newTable(db, zone).expire(ctx)
}

func Revoke(ctx context.Context, db *storage.DB, zone *time.Location, thresholds map[string]time.Duration) (map[string]int64, error) {
	return newTable(db, zone).revoke(ctx, thresholds)
}

// PageSize is how many rows a step looks at.
const PageSize = pageSize
