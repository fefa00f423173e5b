// Package pgtest starts Postgres for tests: one server for a test process, on
// a Unix socket in a directory of its own, without TCP, and with a database
// for each test. It ends with the process's tests. Missing server binaries
// fail the test; `make test` installs them.
package pgtest
