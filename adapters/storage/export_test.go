package storage

import (
	"context"
	"database/sql"
)

// Writer returns the handle that the ports write over.
func (db *DB) Writer() *sql.DB { return db.standard() }

// MigrateBack undoes the migrations after the version.
func (db *DB) MigrateBack(ctx context.Context, version int64) error {
	provider, err := db.provider()
	if err != nil {
		return err
	}
	_, err = provider.DownTo(ctx, version)
	return err
}

// Compile writes a statement for a dialect, and JSONRows the columns of a set
// for SQLite.
var (
	Compile  = compile
	JSONRows = jsonRows
)

// Unpack calls read with each row of the objects.
func Unpack(objects []string, read func(scan func(dest ...any) error) error) error {
	scan := func(dest ...any) error {
		for i := range dest {
			*dest[i].(*string) = objects[i]
		}
		return nil
	}
	return unpacked(scan, len(objects), func(scan scanner) error { return read(scan) })
}

// ReadPacked calls read for each row of what is asked for as a result of very many rows.
func (db *DB) ReadPacked(ctx context.Context, query string, read func(scan func(dest ...any) error) error) error {
	return db.runner.read(ctx, statement{text: query, packed: true, row: func(scan scanner) error { return read(scan) }})
}
