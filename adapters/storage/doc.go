// Package storage keeps the worker's state in SQL: in Postgres, which any
// number of replicas share, or in a SQLite file, which the workers of one host
// share. [Open] opens either one, [DB.Migrate] brings its schema up to date, and
// [DB.Ledger] decides who may act on which run.
//
// Each call of the ledger reads what it needs, decides in Go, and writes with a
// few statements over sets of rows that are sent at once and take effect
// together. Jobs that somebody else changed in between are asked again. So no
// lock is ever held across a round trip: a replica that is frozen keeps nobody
// waiting.
//
// [DB.Outbox] takes jobs within transactions of the application's, and a [Relay]
// puts them on their queues when these are committed: once, and in order. It
// holds no transaction while it does, but marks the rows before and deletes them
// after.
//
// It isn't a general access to the database, and it never touches tables that
// are not the worker's own.
package storage
