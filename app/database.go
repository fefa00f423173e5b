package app

import (
	"sync/atomic"

	"github.com/taktwork/takt/adapters/storage"
)

// Database is the platform's database, for features: a constructor asks for a
// *Database, and uses it in hooks and jobs. It is safe for concurrent use.
type Database struct{ db atomic.Pointer[storage.DB] }

// DB returns the database, from OnStart until OnStop, and false when none is
// configured. It belongs to the platform: a feature changes no schema there.
// In Postgres the search path is the worker's own schema, so names of the
// platform's tables need theirs.
func (d *Database) DB() (*storage.DB, bool) {
	db := d.db.Load()
	return db, db != nil
}
