package storage_test

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

type packedRow struct {
	Name   string
	At     int64
	Number sql.Null[int64]
	Print  sql.Null[string]
}

func some[T any](v T) sql.Null[T] { return sql.Null[T]{V: v, Valid: true} }

// packedRows returns what reads rows into the slice.
func packedRows(into *[]packedRow) func(scan func(...any) error) error {
	var row packedRow // as in Sync, rows share what they are read into
	return func(scan func(...any) error) error {
		err := scan(&row.Name, &row.At, &row.Number, &row.Print)
		read := row
		if !read.Number.Valid {
			read.Number.V = 0
		}
		if !read.Print.Valid {
			read.Print.V = ""
		}
		*into = append(*into, read)
		return err
	}
}

func unpack(objects ...string) (rows []packedRow, err error) {
	err = storage.Unpack(objects, packedRows(&rows))
	return rows, err
}

// literals returns the rows as SQL has them.
func literals(rows []packedRow) string {
	values := make([]string, len(rows))
	for i, row := range rows {
		fingerprint := "own"
		if row.Print.Valid {
			fingerprint = row.Print.V
		}
		values[i] = fmt.Sprintf("('%s', %d, %d, '%s')", row.Name, row.At, row.Number.V, fingerprint)
	}
	return strings.Join(values, ", ")
}

func TestReadPacked_readsTheSameFromBoth(t *testing.T) {
	const query = `WITH plain (name, at, number, print) AS (VALUES %s),
    v AS (SELECT name, CAST(at AS bigint) AS at, CAST(number AS bigint) AS number, print FROM plain)
SELECT @packed(v.name, v.at),
    @seldom(v.name, v.number, v.number <> 0),
    @seldom(v.name, v.print, coalesce(v.print <> 'own', false))
FROM v WHERE %t`
	want := []packedRow{
		{Name: "plain", At: 1},
		{Name: "both", At: math.MaxInt64, Number: some[int64](math.MinInt64), Print: some("quo\"te\\")},
		{Name: "a number", At: math.MinInt64, Number: some[int64](math.MaxInt64)},
		{Name: "a print", At: -1, Print: some("")},
		{Name: "}],:{", At: 0, Print: some("ü\n\x01\x7f \\u0041"), Number: some[int64](-7)},
		{Name: "quo\"ted\\", At: 10, Number: some[int64](10)},
		{Name: "", At: 11},
	}
	values := literals(want)
	onBoth(t, func(t *testing.T, db *storage.DB) {
		for _, want := range [][]packedRow{want, nil} {
			var got []packedRow
			text := storage.Compile(db.Dialect(), fmt.Sprintf(query, values, want != nil))
			err := db.ReadPacked(t.Context(), text, packedRows(&got))
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("ReadPacked(%s) = %v (-want +got):\n%s", text, err, diff)
			}
		}
	})
}

func TestUnpack_readsWhatFewRowsHave(t *testing.T) {
	t.Parallel()
	got, err := unpack(`{"a":1,"b":2,"c":3}`, `{"b":-5}`, `{"a":"x","c":""}`)
	want := []packedRow{
		{Name: "a", At: 1, Print: some("x")},
		{Name: "b", At: 2, Number: some[int64](-5)},
		{Name: "c", At: 3, Print: some("")},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("unpack = %v (-want +got):\n%s", err, diff)
	}
}

func TestUnpack_refusesWhatIsNoSuchText(t *testing.T) {
	t.Parallel()
	for _, objects := range [][]string{
		{"", "{}", "{}"},
		{`{"a":1}`, "", "{}"},
		{`{"a":1}`, "{}", ""},
		{`{"a":1}`, `{"b":2}`, `{}`},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, `{}`},
		{`{"a":1}`, `{"a":1,"a":2}`, `{}`},
		{`{"a":1}`, `{"a":1 }`, `{}`},
		{`{"a":1`, `{}`, `{}`},
		{`{"a":`, `{}`, `{}`},
		{`{"a":1,`, `{}`, `{}`},
		{`{"a":1"b":2}`, `{}`, `{}`},
		{`{"a":1}`, `{"a`, `{}`},
		{`{"a\`, `{}`, `{}`},
		{`{"a":null}`, `{}`, `{}`},
		{`{"a":1.5}`, `{}`, `{}`},
		{`{"a":-}`, `{}`, `{}`},
		{`{"a":"1"}`, `{}`, `{}`},
		{`{"a":1}`, `{"a":"1"}`, `{}`},
		{`{"a":1}`, `{}`, `{"a":1}`},
		{`{"\x":1}`, `{}`, `{}`},
		{`["a",1]`, `{}`, `{}`},
		{`{"a":1}`, `{}`},
	} {
		if rows, err := unpack(objects...); err == nil {
			t.Errorf("unpack(%q) = %v and no error, want one", objects, rows)
		}
	}
}

func TestLedgerSync_knowsFingerprintsOfAnyText(t *testing.T) {
	t.Parallel()
	for dialect, db := range map[storage.Dialect]*storage.DB{storage.SQLite: openSQLite(t), storage.Postgres: openPostgres(t)} {
		var definitions []domain.Definition
		for job, fingerprint := range map[string]string{"a": "", "b": `"}`, "c": `\\"`, "d": "ü\n,:{", "e/f": "[1]"} {
			definitions = append(definitions, domain.Definition{Job: job, Fingerprint: fingerprint})
		}
		ledger := db.Ledger("prints")
		// Of a fleet that registered the same no fingerprints are sent.
		others := append([]domain.Definition{{Job: "more", Fingerprint: "v1"}}, definitions...)
		if _, err := ledger.Sync(t.Context(), domain.SyncRequest{Replica: "bob", Definitions: others}); err != nil {
			t.Fatalf("%s: Sync = %v, want no error", dialect, err)
		}
		reply, err := ledger.Sync(t.Context(), domain.SyncRequest{Replica: "ann", Definitions: definitions})
		if err != nil || len(reply.Jobs) != len(definitions) {
			t.Fatalf("%s: Sync = %d jobs, %v, want %d and no error", dialect, len(reply.Jobs), err, len(definitions))
		}
		for _, state := range reply.Jobs {
			if state.Superseded || state.Revision != 1 || state.Paused {
				t.Errorf("%s: Sync = %+v, want the replica's own definition", dialect, state)
			}
		}
	}
}
