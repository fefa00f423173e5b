//go:build race

package tokens_test

// manySQLite rows take many steps; the detector slows SQLite down by a hundred
// times, for SQLite is Go here.
const manySQLite = 4_000
