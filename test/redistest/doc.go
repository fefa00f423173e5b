// Package redistest starts redis-server processes for tests: each on a free
// port of the loopback interface, with a directory of its own, stopped with
// the test. A missing redis-server fails the test; `make test` installs it.
package redistest
