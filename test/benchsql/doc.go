// Command benchsql measures Takt's storage in SQL (ledger, history, outbox), on
// a Postgres server of its own that syncs its commits, and on a SQLite file, and
// prints it as one table: each figure with its goal, its spread, and the ratio of
// the two. The outbox delivers to a queue in memory, and to one in a Redis server
// of its own; jobs of both kinds of queues are worked with and without history.
//
//	go run ./test/benchsql [-run regexp] [-json] [-rounds n] [-ticks n] [-seconds n] [-records n]
//
// Nothing here passes or fails: the exit code tells whether measuring worked.
//
// A row is a name and a function; rows of other parts of the storage are added
// to the list in main.go.
package main
