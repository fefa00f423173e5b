//go:build race

package tokens_test

// The detector slows SQLite down by a hundred times, for SQLite is Go here.
const manySQLite = 2_500
