package schedule_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/taktwork/takt/core/schedule"
)

type vector struct {
	ID      string      `json:"id"`
	Expr    string      `json:"expr"`
	Zone    string      `json:"tz"`
	After   time.Time   `json:"after"`
	Next    []time.Time `json:"next"`
	Note    string      `json:"note"`
	Invalid bool        `json:"invalid"`
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/cron_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func TestEveryVectorGivesItsInstants(t *testing.T) {
	t.Parallel()
	vectors := readVectors(t)
	if len(vectors) != 106 {
		t.Fatalf("%d vectors, want 106", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			c, err := schedule.ParseCron(v.Expr, v.Zone)
			if v.Invalid {
				if _, ok := errors.AsType[*schedule.ParseError](err); !ok {
					t.Fatalf("ParseCron(%q, %q) = %v, want a *ParseError (%s)", v.Expr, v.Zone, err, v.Note)
				}
				return
			}
			if err != nil {
				t.Fatalf("ParseCron(%q, %q) = %v (%s)", v.Expr, v.Zone, err, v.Note)
			}
			after := v.After
			for i, want := range v.Next {
				got := c.Next(after)
				if !got.Equal(want) || got.Location() != time.UTC {
					t.Fatalf("%q in %s: Next #%d = %s, want %s in UTC (%s)", v.Expr, v.Zone, i, got, want.UTC(), v.Note)
				}
				after = got
			}
			if got := c.Count(v.After, after); got != int64(len(v.Next)) {
				t.Errorf("Count = %d, want %d", got, len(v.Next))
			}
		})
	}
}
