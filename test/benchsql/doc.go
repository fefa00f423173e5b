// Command benchsql measures Takt's storage in SQL, on a Postgres server of its
// own that syncs its commits, and on a SQLite file, and prints it as one table:
// each figure with its goal, its spread, and the ratio of the two.
//
//	go run ./test/benchsql [-run regexp] [-json] [-rounds n] [-ticks n] [-seconds n]
//
// Nothing here passes or fails: the exit code tells whether measuring worked.
//
// A row is a name and a function; rows of other parts of the storage are added
// to the list in main.go.
package main
