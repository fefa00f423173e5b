package storage

// Compile writes a statement for a dialect, and JSONRows the columns of a set
// for SQLite.
var (
	Compile  = compile
	JSONRows = jsonRows
)
