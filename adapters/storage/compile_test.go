package storage_test

import (
	"testing"

	"github.com/taktwork/takt/adapters/storage"
)

func TestCompile_writesAStatementForEachDialect(t *testing.T) {
	t.Parallel()
	const text = `SELECT @packed(c.name, c.at), @max(@now, ?2), @seldom(c.name, c.at, coalesce(c.at, 1) > (0))
FROM @set(name text, at bigint) JOIN t AS c @via(t_open) ON c.namespace = w.namespace AND c.name = w.name`
	for dialect, want := range map[storage.Dialect]string{
		storage.Postgres: `SELECT c.name, c.at, greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, $2), CASE WHEN coalesce(c.at, 1) > (0) THEN c.at END` + "\n" +
			`FROM (SELECT $1::text AS namespace, u.* FROM unnest($3::text[], $4::bigint[]) AS u (name, at) OFFSET 0) AS w ` +
			`JOIN t AS c  ON c.namespace = w.namespace AND c.name = w.name`,
		storage.SQLite: `SELECT json_group_object(c.name, c.at), max(takt_now_us(), ?2), json_group_object(c.name, c.at) FILTER (WHERE coalesce(c.at, 1) > (0))` + "\n" +
			`FROM (SELECT ?1 AS namespace, row->>0 AS name, row->>1 AS at FROM (SELECT value AS row FROM json_each(?3) LIMIT -1) LIMIT -1) AS w ` +
			`JOIN t AS c INDEXED BY t_open ON c.namespace = w.namespace AND c.name = w.name`,
	} {
		if got := storage.Compile(dialect, text); got != want {
			t.Errorf("Compile(%s) = %s, want %s", dialect, got, want)
		}
	}
}

func TestJSONRows_areOneTextForAnyText(t *testing.T) {
	t.Parallel()
	got := storage.JSONRows([]any{[]string{"plain", "quo\"te\\", "ü\n"}, []int64{-1, 0, 1 << 62}, []bool{true, false, true}})
	want := `[["plain",-1,true],["quo\"te\\",0,false],["ü\n",4611686018427387904,true]]`
	if got != want {
		t.Errorf("JSONRows = %s, want %s", got, want)
	}
}
