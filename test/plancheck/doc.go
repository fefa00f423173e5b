// Package plancheck tells how databases carry statements out: which rows of
// which tables they read, and by which index. On Postgres it watches what the
// server really does, whoever asks; on SQLite it explains statements.
package plancheck
