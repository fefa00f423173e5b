package storage_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadPacked_readsWhatPostgresSends(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	query := `SELECT a, b FROM (VALUES ('plain', 1::bigint), ('plain', 9223372036854775807), ('', -9223372036854775808), ('ü' || chr(10), 0)) AS v (a, b)`
	type row struct {
		Name   string
		Number int64
	}
	var got []row
	var now row
	err := db.ReadPacked(t.Context(), query, func(scan func(...any) error) error {
		err := scan(&now.Name, &now.Number)
		got = append(got, now)
		return err
	})
	want := []row{{"plain", 1}, {"plain", math.MaxInt64}, {"", math.MinInt64}, {"ü\n", 0}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ReadPacked = %v, rows differ (-want +got):\n%s", err, diff)
	}
}

func TestReadPacked_refusesOtherColumns(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	for query, want := range map[string]string{
		`SELECT 'a', 1::bigint, 2::bigint`: "rows have 3 columns, not 2",
		`SELECT 'a', 1::integer`:           "column 2 is no number of 64 bits",
		`SELECT 'a', '12345678'`:           "column 2 is no number of 64 bits",
		`SELECT 'a', NULL::bigint`:         "column 2 is null",
		`SELECT NULL::text, 1::bigint`:     "column 1 is null",
	} {
		var name string
		var number int64
		err := db.ReadPacked(t.Context(), query, func(scan func(...any) error) error { return scan(&name, &number) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadPacked(%s) = %v, want %q", query, err, want)
		}
	}
	err := db.ReadPacked(t.Context(), `SELECT true`, func(scan func(...any) error) error { return scan(new(bool)) })
	if want := "no value is read into *bool"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("ReadPacked = %v, want %q", err, want)
	}
}
