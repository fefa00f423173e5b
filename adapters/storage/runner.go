package storage

import "context"

// runner carries out statements. Both methods send all statements at once, so
// none may depend on what Go learns from an earlier one.
type runner interface {
	// read carries out statements that change nothing. All see one state.
	read(ctx context.Context, statements ...statement) error
	// write carries out all statements in order, in one transaction, or none.
	write(ctx context.Context, statements ...statement) error
}

// statement is one SQL statement with its values.
type statement struct {
	// text is written for the dialect by compile.
	text string
	// args are the values of ?1, ?2, …; the first is the namespace.
	args []any
	// set are the columns of the rows that stand in the place of @set; each a
	// []string, []int64 or []bool, all of one length.
	set []any
	// looksUp tells that few rows of large tables are concerned, and that the
	// plan must look them up whatever the planner believes.
	looksUp bool
	// inOrder tells that the first rows in the order of an index are wanted.
	inOrder bool
	// packed tells that all columns stand in @packed and @seldom.
	packed bool
	// row is called for each row of the result; nil if there is none to read.
	row func(scan scanner) error
}

// scanner reads the columns of a row; those of packed rows into a *string, an
// *int64 and, for each in @seldom, a *sql.Null of one of them.
type scanner func(dest ...any) error
