//go:build !race

package tokens_test

// manySQLite rows take many steps.
const manySQLite = many
