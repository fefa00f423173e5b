package plancheck

import (
	"context"
	"database/sql"
	"regexp"
	"testing"
)

// Lookup is how SQLite looks at one table.
type Lookup struct {
	Table string
	// Index is that which is used, or PRIMARY KEY, also for that which is the row's
	// number; empty for a look at all rows.
	Index string
	// Columns are those that rows are looked up by; empty for a look at all
	// that the index holds.
	Columns string
	// Detail is the line of SQLite's explanation.
	Detail string
}

var lookupPattern = regexp.MustCompile(`^(?:SCAN|SEARCH) (\w+)(?: EXISTS)?(?: USING (?:COVERING |INTEGER )?(?:INDEX )?(PRIMARY KEY|\w+))?(?: \(([^)]*)\))?`)

// Explain returns how SQLite would carry out the statement, without doing it.
func Explain(tb testing.TB, db *sql.DB, statement string, args ...any) []Lookup {
	tb.Helper()
	rows, err := db.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+statement, args...)
	if err != nil {
		tb.Fatalf("explain %s: %v", statement, err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var found []Lookup
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			tb.Fatalf("explain %s: %v", statement, err)
		}
		if m := lookupPattern.FindStringSubmatch(detail); m != nil {
			found = append(found, Lookup{Table: m[1], Index: m[2], Columns: m[3], Detail: detail})
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatalf("explain %s: %v", statement, err)
	}
	return found
}
