//go:build !race

package tokens_test

const manySQLite = many
