package storage_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/taktwork/takt/adapters/storage"
	"github.com/taktwork/takt/core/domain"
)

type packedRow struct {
	Name, Print string
	At, Number  int64
}

func unpack(objects ...string) (rows []packedRow, err error) {
	err = storage.Unpack(objects, func(scan func(...any) error) error {
		var row packedRow
		err := scan(&row.Name, &row.At, &row.Print, &row.Number)
		rows = append(rows, row)
		return err
	})
	return rows, err
}

func TestUnpack_readsWhatSQLiteWrites(t *testing.T) {
	t.Parallel()
	want := []packedRow{
		{Name: "plain", At: 1, Print: "", Number: -7},
		{Name: "plain", At: math.MaxInt64, Print: "quo\"te\\", Number: math.MinInt64},
		{Name: "}],:{", At: 0, Print: "ü\n\x01\x7f \\u0041", Number: 10},
	}
	db := openSQLite(t)
	objects := make([]string, 2)
	query := `SELECT json_group_object(a, b), json_group_object(c, d) FROM (SELECT ? AS a, ? AS b, ? AS c, ? AS d UNION ALL SELECT ?, ?, ?, ? UNION ALL SELECT ?, ?, ?, ?)`
	var values []any
	for _, row := range want {
		values = append(values, row.Name, row.At, row.Print, row.Number)
	}
	if err := db.Writer().QueryRowContext(t.Context(), query, values...).Scan(&objects[0], &objects[1]); err != nil {
		t.Fatalf("%s = %v, want no error", query, err)
	}
	got, err := unpack(objects...)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("unpack(%q) = %v (-want +got):\n%s", objects, err, diff)
	}
	if got, err := unpack("{}", "{}"); len(got) != 0 || err != nil {
		t.Errorf("unpack of no rows = %v, %v, want none and no error", got, err)
	}
}

func TestUnpack_refusesWhatIsNoSuchText(t *testing.T) {
	t.Parallel()
	for _, objects := range [][]string{
		{"", ""},
		{`{"a":1}`, ""},
		{`{"a":1}`, `{}`},
		{`{"a":1}`, `{"a":1,"b":2}`},
		{`{"a":1,"b":2}`, `{"a":1}`},
		{`{"a":1`, `{"a":1`},
		{`{"a":`, `{"a":1}`},
		{`{"a`, `{"a":1}`},
		{`{"a\`, `{"a":1}`},
		{`{"a":null}`, `{"a":1}`},
		{`{"a":1.5}`, `{"a":1}`},
		{`{"a":-}`, `{"a":1}`},
		{`{"a":"1"}`, `{"a":1}`},
		{`{"\x":1}`, `{"a":1}`},
		{`["a",1]`, `{"a":1}`},
		{`{"a":1}`},
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
