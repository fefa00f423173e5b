package storage

import "database/sql"

// Writer returns the handle that the ports write over.
func (db *DB) Writer() *sql.DB { return db.standard() }

// Compile writes a statement for a dialect, and JSONRows the columns of a set
// for SQLite.
var (
	Compile  = compile
	JSONRows = jsonRows
)
